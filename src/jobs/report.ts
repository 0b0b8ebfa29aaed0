import { toHex, utf8 } from "../core/base/bytes.ts";
import type { KeyVersion } from "../core/telemetry/events.ts";

/**
 * The account of a finished job, to be filed: what was looked at, when, and which KEK versions no record names any more. Its hash shows
 * whether a copy was changed since.
 */
export interface RetirementReport {
  readonly format: "envelock-retirement/1";
  readonly job: string;
  readonly kind: string;
  /** When the job was planned and when its last partition was verified: ISO 8601, by the clock of the process that wrote it. */
  readonly beganAt: string;
  readonly endedAt: string;
  readonly rounds: number;
  readonly partitions: number;
  /** The sums of the last verification of each partition, and of all work. */
  readonly counts: Readonly<Record<string, number>>;
  readonly keyVersions: readonly ReportedVersion[];
  /** KEK versions that records named before and none names now. Empty unless every row was read and none failed. */
  readonly retirable: readonly KeyVersion[];
  /** The SHA-256 of the JSON of all members before it, in hex. */
  readonly sha256: string;
}

/** The number of records that name a KEK version. */
export interface ReportedVersion extends KeyVersion {
  readonly before: number;
  readonly after: number;
}

/** Completes a report with its hash. */
export async function hashedReport(report: Omit<RetirementReport, "sha256">): Promise<RetirementReport> {
  return { ...report, sha256: await hashOf(report) };
}

/**
 * Whether a report is as it was written: its hash fits its content, and it has no member that the hash does not cover. A value that is no
 * report is none.
 *
 * @param report as `runPartitions` gave it, or read from the JSON of a filed copy
 * @example
 * ```ts
 * import { isUnchangedReport, type RetirementReport } from "envelock/jobs";
 *
 * export const mayRetire = async (filed: RetirementReport) => (await isUnchangedReport(filed)) && filed.retirable.length > 0;
 * ```
 */
export async function isUnchangedReport(report: RetirementReport): Promise<boolean> {
  if (!hasForm(report)) return false;
  const { sha256, ...rest } = report;
  // the same text of both: every member is one that the hash covers
  return sha256 === (await hashOf(rest)) && isSameJson(rest, inOrder(rest));
}

function hasForm(report: RetirementReport): boolean {
  const isList = (value: unknown): boolean => Array.isArray(value) && value.every((one) => typeof one === "object" && one !== null);
  if (typeof report !== "object" || report === null || typeof report.counts !== "object" || report.counts === null) return false;
  return isList(report.keyVersions) && isList(report.retirable);
}

async function hashOf(report: Omit<RetirementReport, "sha256">): Promise<string> {
  return toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", utf8(JSON.stringify(inOrder(report))))));
}

/** The members that the hash covers, in its order. */
function inOrder(report: Omit<RetirementReport, "sha256">): Omit<RetirementReport, "sha256"> {
  const { format, job, kind, beganAt, endedAt, rounds, partitions, counts, keyVersions, retirable } = report;
  return {
    format,
    job,
    kind,
    beganAt,
    endedAt,
    rounds,
    partitions,
    counts: Object.fromEntries(Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1))),
    keyVersions: keyVersions.map(({ provider, keyId, before, after }) => ({ provider, keyId, before, after })),
    retirable: retirable.map(({ provider, keyId }) => ({ provider, keyId })),
  };
}

/** Whether two values have the same JSON but for the order of members. */
function isSameJson(one: unknown, other: unknown): boolean {
  if (typeof one !== "object" || one === null || typeof other !== "object" || other === null) return one === other;
  const [names, others] = [Object.keys(one), Object.keys(other)];
  return (
    names.length === others.length &&
    names.every((name) => Object.hasOwn(other, name) && isSameJson(Reflect.get(one, name), Reflect.get(other, name)))
  );
}
