import type { CallOptions } from "../core/base/call-options.ts";
import { EnvelockError, type ErrorCode } from "../core/base/errors.ts";
import { jsonIn } from "../core/base/json.ts";
import type { JobRow, JobRowKind, LeasedJobRow } from "../core/contracts/job-store.ts";
import type { RetirementReport } from "./report.ts";

/**
 * `running`: partitions are worked on. `paused`: no worker begins a page. `cancelled`: for good. `failing`: all partitions were worked on,
 * and rows are left that failed. `done`: nothing is left.
 */
export type JobState = "running" | "paused" | "cancelled" | "failing" | "done";
/** `work` changes rows, `verify` counts what stands then. */
export type JobPhase = "work" | "verify";

/** A job as its row has it. */
export interface JobRecord {
  readonly id: string;
  readonly revision: number;
  /** What is left of the time before the next round may begin. */
  readonly waitMs: number;
  /** The work and its version. A worker that does not know it leaves the job alone. */
  readonly kind: string;
  readonly state: JobState;
  /** 0 at first; each retry of what failed is one more. */
  readonly round: number;
  readonly phase: JobPhase;
  /** The KEK versions that new data keys name, as `provider keyId`. Null where each scope has its own. */
  readonly target: readonly string[] | null;
  /** The calls in a second that the fleet may make, for each budget of the job. */
  readonly rates: readonly number[];
  readonly createdAtMs: number;
  readonly phaseAtMs: number;
  readonly report: RetirementReport | null;
}

/** The place in a table: a row of data keys, or the key of a caller's row. */
export type Place = string | number | { readonly scope: string; readonly version: number };
/** The end of a partition: a scope, or the key of a caller's row. */
export type Bound = string | number;

/** A part of the table in one phase of one round. */
export interface PartitionRecord {
  readonly id: PartitionId;
  readonly revision: number;
  readonly leaseMs: number;
  readonly state: "open" | "done";
  readonly from: Bound | null;
  readonly to: Bound | null;
  readonly after: Place | null;
  readonly owner: string | null;
  readonly attempts: number;
  /** The slices without headway since the last checkpoint: a row of the next page asked for a pause. */
  readonly rests: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly keyVersions: Readonly<Record<string, number>>;
  /** The parts that were cut off its end while it was worked on. */
  readonly children: readonly { readonly part: string; readonly from: Bound; readonly to: Bound | null }[];
}

export interface PartitionId {
  readonly round: number;
  readonly phase: JobPhase;
  readonly part: string;
}

/** An entry of the ledger: a row that failed, or a whole tenant. */
export interface FailureRecord {
  readonly id: string;
  readonly revision: number;
  readonly round: number;
  readonly code: ErrorCode;
  readonly message: string;
  readonly tenant: string | null;
  readonly part: string;
  /** The number of rounds in which it failed. */
  readonly tries: number;
  readonly firstAtMs: number;
}

export interface PlanRecord {
  /** The kind of the job that was planned. */
  readonly kind: string;
  /** About how many rows the table has. */
  readonly rows: number;
  readonly bounds: readonly Bound[];
}

/** Returns a count. What was never counted is 0. */
export function countOf(counts: Readonly<Record<string, number>>, name: string): number {
  return counts[name] ?? 0;
}

/** Text of 4 digits, a phase and a part: the order of ids is that of rounds. */
export function partitionText({ round, phase, part }: PartitionId): string {
  return `${prefixOf(round, phase)}${part}`;
}

export function prefixOf(round: number, phase: JobPhase): string {
  return `${`${round}`.padStart(4, "0")}/${phase}/`;
}

/** @throws `invalid-argument` is not thrown here: undefined for a text that is none */
export function partitionIdIn(text: string): PartitionId | undefined {
  const [, round, phase, part] = PARTITION.exec(text) ?? [];
  if (round === undefined || part === undefined || (phase !== "work" && phase !== "verify")) return undefined;
  return { round: Number(round), phase, part };
}

/** Makes the row that stores a document. */
export function rowOf(kind: JobRowKind, job: string, id: string, revision: number, document: object): JobRow {
  return { kind, job, id, revision, document: JSON.stringify(document) };
}

export function jobRowOf(record: JobRecord): JobRow {
  const { id, revision, waitMs: _waitMs, ...document } = record;
  return rowOf("job", "", id, revision, document);
}

export function partitionRowOf(job: string, record: PartitionRecord): JobRow {
  const { id, revision, leaseMs: _leaseMs, ...document } = record;
  return rowOf("partition", job, partitionText(id), revision, document);
}

export function failureRowOf(job: string, { id, revision, ...document }: FailureRecord): JobRow {
  return rowOf("failure", job, id, revision, document);
}

/** @throws `provider-failure` if the document is none of this release */
export function parseJob({ id, revision, leaseMs, document }: LeasedJobRow): JobRecord {
  const fields = new Fields(document, "a job");
  return {
    id,
    revision,
    waitMs: leaseMs,
    kind: fields.text("kind"),
    state: fields.oneOf("state", STATES),
    round: fields.count("round"),
    phase: fields.oneOf("phase", PHASES),
    target: fields.is("target", isNull) ? null : fields.read("target", isTexts),
    rates: fields.read("rates", isNumbers),
    createdAtMs: fields.count("createdAtMs"),
    phaseAtMs: fields.count("phaseAtMs"),
    report: fields.is("report", isNull) ? null : fields.read("report", isReport),
  };
}

/** @throws `provider-failure` */
export function parsePartition({ id, revision, leaseMs, document }: LeasedJobRow): PartitionRecord {
  const fields = new Fields(document, "a partition");
  const named = partitionIdIn(id);
  if (named === undefined) throw broken("the id of a partition is none");
  return {
    id: named,
    revision,
    leaseMs,
    state: fields.oneOf("state", ["open", "done"]),
    from: fields.is("from", isNull) ? null : fields.read("from", isBound),
    to: fields.is("to", isNull) ? null : fields.read("to", isBound),
    after: fields.is("after", isNull) ? null : fields.read("after", isPlace),
    owner: fields.is("owner", isNull) ? null : fields.text("owner"),
    attempts: fields.count("attempts"),
    rests: fields.count("rests"),
    counts: fields.read("counts", isCounts),
    keyVersions: fields.read("keyVersions", isCounts),
    children: fields.read("children", isChildren),
  };
}

/** @throws `provider-failure` */
export function parseFailure({ id, revision, document }: LeasedJobRow): FailureRecord {
  const fields = new Fields(document, "a failure");
  return {
    id,
    revision,
    round: fields.count("round"),
    code: fields.read("code", isCode),
    message: fields.text("message"),
    tenant: fields.is("tenant", isNull) ? null : fields.text("tenant"),
    part: fields.text("part"),
    tries: fields.count("tries"),
    firstAtMs: fields.count("firstAtMs"),
  };
}

/** @throws `provider-failure` */
export function parsePlan({ document }: LeasedJobRow): PlanRecord {
  const fields = new Fields(document, "a plan");
  return { kind: fields.text("kind"), rows: fields.count("rows"), bounds: fields.read("bounds", isBounds) };
}

/** The fields of a document, which a store may have damaged. */
class Fields {
  readonly #fields: ReadonlyMap<string, unknown>;
  readonly #what: string;

  constructor(document: string, what: string) {
    const value = jsonIn(document);
    if (typeof value !== "object" || value === null) throw broken(`${what} is no object`);
    this.#fields = new Map<string, unknown>(Object.entries(value));
    this.#what = what;
  }

  is(name: string, test: (value: unknown) => boolean): boolean {
    return test(this.#fields.get(name));
  }

  read<T>(name: string, test: (value: unknown) => value is T): T {
    const value = this.#fields.get(name);
    if (test(value)) return value;
    throw broken(`${name} of ${this.#what} is none`);
  }

  text(name: string): string {
    return this.read(name, isText);
  }

  count(name: string): number {
    return this.read(name, isCount);
  }

  oneOf<const T extends string>(name: string, known: readonly T[]): T {
    const value = this.#fields.get(name);
    const found = known.find((one) => one === value);
    if (found === undefined) throw broken(`${name} of ${this.#what} is none of ${known.join(", ")}`);
    return found;
  }
}

/** Says that a stored document is not one of this release. */
export function broken(why: string): EnvelockError {
  return new EnvelockError("provider-failure", `the store holds a row of a job that cannot be read: ${why}`);
}

function isNull(value: unknown): boolean {
  return value === null;
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

export function isBound(value: unknown): value is Bound {
  return typeof value === "string" || (typeof value === "number" && Number.isFinite(value));
}

function isPlace(value: unknown): value is Place {
  if (isBound(value)) return true;
  if (typeof value !== "object" || value === null || !("scope" in value) || !("version" in value)) return false;
  return isText(value.scope) && isCount(value.version);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every(isText);
}

function isNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every((one) => typeof one === "number" && one > 0);
}

function isBounds(value: unknown): value is readonly Bound[] {
  return Array.isArray(value) && value.every(isBound);
}

function isCounts(value: unknown): value is Readonly<Record<string, number>> {
  return typeof value === "object" && value !== null && Object.values(value).every(isCount);
}

function isChildren(value: unknown): value is PartitionRecord["children"] {
  return Array.isArray(value) && value.every(isChild);
}

function isChild(value: unknown): boolean {
  if (typeof value !== "object" || value === null || !("part" in value && "from" in value && "to" in value)) return false;
  return isText(value.part) && isBound(value.from) && (value.to === null || isBound(value.to));
}

function isReport(value: unknown): value is RetirementReport {
  return typeof value === "object" && value !== null && "sha256" in value && isText(value.sha256);
}

function isCode(value: unknown): value is ErrorCode {
  return isText(value) && /^[a-z-]+$/.test(value);
}

export const STATES: readonly JobState[] = ["running", "paused", "cancelled", "failing", "done"];
const PHASES: readonly JobPhase[] = ["work", "verify"];
const PARTITION = /^(\d{4})\/([a-z]+)\/([\d.]+)$/;

/** The options of a call, without a signal that is undefined. */
export function callWith(signal: AbortSignal | undefined): CallOptions {
  return signal === undefined ? {} : { signal };
}
