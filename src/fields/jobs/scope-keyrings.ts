import type { Context } from "../../core/base/context.ts";
import { EnvelockError, type ErrorCode, invalidArgument } from "../../core/base/errors.ts";
import type { OptionNames } from "../../core/base/options.ts";
import type { KeyRecord } from "../../core/format/key-record.ts";
import { type Keyring, requireKeyring } from "../../core/keyring/keyring.ts";
import type { KeyVersion } from "../../core/telemetry/events.ts";
import type { KeyTable, Scope } from "../key-table.ts";
import { contextWithoutPurpose, type KeyPurpose } from "../scope.ts";
import { namesIn, versionNamed } from "./key-versions.ts";
import { JOB_OPTIONS, type JobOptions, workersOf } from "./pages.ts";

/** The options of every job over stored data keys. */
export interface KeyJobOptions extends JobOptions {
  /**
   * Returns the keyring of a scope, where scopes have keys of their own, such as one for each tenant. The context of that keyring must be
   * part of the scope. Called once for each scope of a page. Without it the keyring of `DataKeys` serves every scope.
   *
   * If it rejects with an `EnvelockError`, or the key of a scope cannot be used, the rows of that scope are listed as failed. The job goes
   * on with the other scopes, and its checkpoint too. Another rejection ends the job.
   */
  readonly keyringOf?: (scope: Context) => Promise<Keyring | SkippedScope> | Keyring | SkippedScope;
}

/** The answer of `keyringOf` for a scope that is left alone. */
export interface SkippedScope {
  /** The reason, for the report. */
  readonly skip: string;
}

/** The result of a job for one scope. */
export interface ScopeReport {
  /** The scope as `DataKeys` takes it, with the keyring's context in it. */
  readonly scope: Context;
  readonly purpose: KeyPurpose;
  /** Rows that have a key. */
  readonly rows: number;
  /** Rows that the job has wrapped anew, opened or proven. */
  readonly done: number;
  readonly failed: number;
  /** The first failure. */
  readonly error: EnvelockError | undefined;
  /** The reason why `keyringOf` skipped the scope. */
  readonly skipped: string | undefined;
  /** The KEK versions that its records name, as far as they can be read. */
  readonly keyVersions: readonly KeyVersion[];
}

/** A scope as one page of a job meets it. */
export interface ScopeRun {
  /** Returns the table with the scope's keyring. @throws what `keyringOf` throws, or why the scope's key cannot be used */
  open(): Promise<KeyTable | SkippedScope>;
  /** Counts a row, and the KEK versions that its record names when the job is done with it. */
  sawRow(record: KeyRecord | undefined): void;
  /** Counts a row that was wrapped anew, opened or proven. */
  didRow(): void;
  failed(error: unknown): void;
}

/** The keyrings of the scopes of a job, and what it counts for each. Without `keyringOf` nothing is counted by scope. */
export class ScopeKeyrings {
  readonly #table: KeyTable;
  readonly #keyringOf: KeyJobOptions["keyringOf"];
  readonly #tallies = new Map<string, Tally>();
  #runs = new Map<string, ScopeRun>();

  constructor(table: KeyTable, { keyringOf }: KeyJobOptions) {
    this.#table = table;
    this.#keyringOf = keyringOf;
  }

  /** Whether scopes have keyrings of their own. */
  get areApart(): boolean {
    return this.#keyringOf !== undefined;
  }

  /** One entry for each scope, in the order of the store. */
  get reports(): readonly ScopeReport[] {
    return [...this.#tallies.values()].map(reportOf);
  }

  /** Begins another pass over all rows. Keeps the count of what was done. */
  passBegins(): void {
    for (const tally of this.#tallies.values()) reset(tally);
  }

  /** Lets go of the keyrings: they are asked for again, so that a suspended scope and one that is back take effect. */
  pageBegins(): void {
    this.#runs = new Map();
  }

  of(scope: Scope): ScopeRun {
    if (this.#keyringOf === undefined) return { ...NOTHING_COUNTED, open: async () => this.#table };
    const known = this.#runs.get(scope.text);
    if (known !== undefined) return known;
    const tally = this.#tallies.get(scope.text) ?? newTally(scope);
    this.#tallies.set(scope.text, tally);
    const run = new OwnRun(tally, async () => await this.#ask(scope));
    this.#runs.set(scope.text, run);
    return run;
  }

  async #ask({ context }: Scope): Promise<KeyTable | SkippedScope> {
    const answer = await this.#keyringOf?.(contextWithoutPurpose(context.map));
    if (isSkipped(answer)) return answer;
    const keyring = requireKeyring(answer, "the answer of keyringOf");
    const foreign = Object.entries(keyring.context).find(([key, value]) => context.map[key] !== value);
    if (foreign === undefined) return this.#table.with(keyring);
    throw invalidArgument(
      `keyringOf answered with a keyring whose context is not part of the scope: they differ in "${foreign[0]}"`,
      "Return the keyring that was made with the context of this scope, or { skip: reason }.",
    );
  }
}

/** A scope with a keyring of its own. Once its key cannot be used, its other rows fail without another call. */
class OwnRun implements ScopeRun {
  readonly #tally: Tally;
  readonly #ask: () => Promise<KeyTable | SkippedScope>;
  #answer: Promise<KeyTable | SkippedScope> | undefined;
  #down: EnvelockError | undefined;

  constructor(tally: Tally, ask: () => Promise<KeyTable | SkippedScope>) {
    this.#tally = tally;
    this.#ask = ask;
  }

  async open(): Promise<KeyTable | SkippedScope> {
    if (this.#down !== undefined) throw this.#down;
    this.#answer ??= this.#ask();
    const answer = await this.#answer;
    if (isSkipped(answer)) this.#tally.skipped = answer.skip;
    return answer;
  }

  sawRow(record: KeyRecord | undefined): void {
    this.#tally.rows++;
    for (const name of record === undefined ? [] : namesIn(record)) this.#tally.names.add(name);
  }

  didRow(): void {
    this.#tally.done++;
  }

  failed(error: unknown): void {
    if (!(error instanceof EnvelockError)) return;
    this.#tally.failed++;
    this.#tally.error ??= error;
    if (OF_ALL_ROWS.has(error.code)) this.#down = error;
  }
}

/** Checks the options of a job when it is called. @throws `invalid-argument` */
export function checkKeyJob(options: KeyJobOptions): void {
  workersOf(options);
  if (options.keyringOf !== undefined && typeof options.keyringOf !== "function") throw invalidArgument("keyringOf is a function");
}

export function isSkipped(answer: unknown): answer is SkippedScope {
  return typeof answer === "object" && answer !== null && "skip" in answer && typeof answer.skip === "string";
}

interface Tally {
  readonly scope: Scope;
  rows: number;
  done: number;
  failed: number;
  error: EnvelockError | undefined;
  skipped: string | undefined;
  names: Set<string>;
}

function newTally(scope: Scope): Tally {
  return { scope, rows: 0, done: 0, failed: 0, error: undefined, skipped: undefined, names: new Set() };
}

function reset(tally: Tally): void {
  tally.rows = 0;
  tally.failed = 0;
  tally.error = undefined;
  tally.skipped = undefined;
  tally.names = new Set();
}

function reportOf({ scope, names, rows, done, failed, error, skipped }: Tally): ScopeReport {
  const keyVersions = [...names].sort().map(versionNamed);
  return { scope: contextWithoutPurpose(scope.context.map), purpose: scope.purpose, rows, done, failed, error, skipped, keyVersions };
}

const NOTHING_COUNTED: Omit<ScopeRun, "open"> = {
  sawRow: () => undefined,
  didRow: () => undefined,
  failed: () => undefined,
};
/** Failures of a key service that the next row of the scope would meet too. */
const OF_ALL_ROWS: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["access-denied", "rate-limited", "unavailable", "timeout", "closed"]);
export const KEY_JOB_OPTIONS: OptionNames<KeyJobOptions> = { ...JOB_OPTIONS, keyringOf: true };
