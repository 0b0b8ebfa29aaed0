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
 * Whether a report is as it was written: its hash fits its content.
 *
 * @example
 * ```ts
 * import { isUnchangedReport, type RetirementReport } from "envelock/jobs";
 *
 * export const mayRetire = async (filed: RetirementReport) => (await isUnchangedReport(filed)) && filed.retirable.length > 0;
 * ```
 */
export async function isUnchangedReport(report: RetirementReport): Promise<boolean> {
  return report.sha256 === (await hashOf(report));
}

async function hashOf(report: Omit<RetirementReport, "sha256">): Promise<string> {
  const { format, job, kind, beganAt, endedAt, rounds, partitions, counts, keyVersions, retirable } = report;
  const inOrder = {
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
  return toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", utf8(JSON.stringify(inOrder)))));
}
