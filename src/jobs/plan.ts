import { type Clock, systemClock } from "../core/base/clock.ts";
import { EnvelockError, invalidArgument } from "../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import type { JobStore } from "../core/contracts/job-store.ts";
import { count } from "../core/resilience/checks.ts";
import { type BlobWorkOptions, blobWork } from "./blob-work.ts";
import { MOST_PARTS } from "./bounds.ts";
import { type ColumnWorkOptions, columnWork } from "./column-work.ts";
import { FleetJob } from "./fleet-job.ts";
import type { JobRecord, PlanRecord } from "./records.ts";
import { type RewrapWorkOptions, rewrapWork } from "./rewrap-work.ts";
import { JobRows } from "./rows.ts";
import { jobId, requireJobStore } from "./status.ts";
import type { JobWork } from "./work.ts";

export interface PlanOptions {
  /** The name of the job, 1 to 128 printable ASCII characters. Every process that plans this id works on the same job. */
  readonly id: string;
  readonly jobs: JobStore;
  /** The number of partitions, at most 4,096. By default one for each 50,000 rows, and at least 16; 64 with `bounds`, which count no rows. */
  readonly partitions?: number;
  readonly signal?: AbortSignal;
  /** The time source, for tests. Leases are measured by the store's. */
  readonly clock?: Clock;
}

export interface PlanRewrapOptions extends PlanOptions, RewrapWorkOptions {}

export interface PlanRewrapBlobsOptions extends PlanOptions, BlobWorkOptions {}

/** @typeParam T the type of the column's values */
export interface PlanReencryptOptions<T> extends PlanOptions, ColumnWorkOptions<T> {}

/**
 * Plans a rewrap of all stored data keys, or takes up the plan that is there. It proves first that a data key which this process wraps can
 * be unwrapped. A process whose keyring wraps with other key versions than the job was planned for is refused: roll the new key out first.
 *
 * @throws `invalid-argument`, also for a job of another kind or for other key versions; what the stores and the providers throw
 * @example
 * ```ts
 * import type { DataKeys } from "envelock/fields";
 * import { planRewrap, runPartitions } from "envelock/jobs";
 * import { postgresJobStore } from "envelock/stores/postgres";
 * import type { Pool } from "pg";
 *
 * export async function rewrap(dataKeys: DataKeys, client: Pool) {
 *   return await runPartitions(await planRewrap({ id: "rewrap-2026-11", dataKeys, jobs: postgresJobStore({ client }) }));
 * }
 * ```
 */
export async function planRewrap(options: PlanRewrapOptions): Promise<FleetJob> {
  refuseUnknown(options, REWRAP_OPTIONS, "planRewrap");
  const { dataKeys, keyringOf, budgets, verification } = options;
  const given = { ...(keyringOf && { keyringOf }), ...(budgets && { budgets }), ...(verification && { verification }) };
  return await planned(options, rewrapWork({ dataKeys, ...given }));
}

/**
 * Plans a rewrap of the headers of all blobs of a store, or takes up the plan that is there: `rewrapStale` over a fleet, by ranges of names.
 * It proves first that a data key which this process wraps can be unwrapped.
 *
 * @throws as `planRewrap`
 * @example
 * ```ts
 * import type { EncryptedStore } from "envelock/blobs";
 * import { type JobStore, planRewrapBlobs, runPartitions } from "envelock/jobs";
 *
 * export async function rewrapInvoices(blobs: EncryptedStore, jobs: JobStore) {
 *   const job = await planRewrapBlobs({ id: "invoices-2026-11", container: "az://acme/invoices", blobs, jobs });
 *   return await runPartitions(job);
 * }
 * ```
 */
export async function planRewrapBlobs(options: PlanRewrapBlobsOptions): Promise<FleetJob> {
  refuseUnknown(options, BLOB_OPTIONS, "planRewrapBlobs");
  const { blobs, container, prefix, bounds, budgets, verification } = options;
  const given = { ...(prefix !== undefined && { prefix }), ...(bounds && { bounds }), ...(budgets && { budgets }) };
  return await planned(options, blobWork({ blobs, container, ...given, ...(verification && { verification }) }));
}

/**
 * Plans a re-encryption of a column under the newest data key, or takes up the plan that is there: `reencryptTable` over a fleet.
 *
 * @throws as `planRewrap`
 * @example
 * ```ts
 * import type { FieldCipher } from "envelock/fields";
 * import { integerBounds, type JobStore, planReencrypt, runPartitions } from "envelock/jobs";
 * import type { Pool } from "pg";
 *
 * export async function reencryptEmails(cipher: FieldCipher<string>, pool: Pool, jobs: JobStore) {
 *   const job = await planReencrypt<string>({
 *     id: "users.email-2026-11",
 *     column: "users.email",
 *     jobs,
 *     cipher,
 *     bounds: (n) => integerBounds(1, 50_000_000, n),
 *     rows: async (after, limit, to) => {
 *       const text = "select id as key, email as stored from users where id > $1 and ($2::int is null or id <= $2) order by id limit $3";
 *       return (await pool.query(text, [after ?? 0, to ?? null, limit])).rows;
 *     },
 *     update: async ({ key, from, to }) => {
 *       const { rowCount } = await pool.query("update users set email = $1 where id = $2 and email = $3", [to, key, from]);
 *       return rowCount === 1;
 *     },
 *   });
 *   return await runPartitions(job);
 * }
 * ```
 */
export async function planReencrypt<T>(options: PlanReencryptOptions<T>): Promise<FleetJob> {
  refuseUnknown<PlanReencryptOptions<T>>(options, REENCRYPT_OPTIONS, "planReencrypt");
  const { column, cipher, rows, update, bounds } = options;
  return await planned(options, columnWork<T>({ column, cipher, rows, update, ...(bounds && { bounds }) }));
}

/** Plans once. Of two planners, the first bounds and the first job stand. */
async function planned({ id: given, jobs, partitions, signal, clock = systemClock }: PlanOptions, work: JobWork): Promise<FleetJob> {
  const id = jobId(given);
  requireJobStore(jobs);
  const parts = partitions === undefined ? undefined : count(partitions, "partitions", MOST_PARTS);
  const target = await work.prepare(signal);
  const rows = new JobRows(jobs, id);
  let record = await rows.job(signal);
  if (record === undefined) {
    await rows.insertPlan(fitting(await cutsOf(work, parts, signal)), signal);
    const nowMs = Math.floor(clock.unixMs());
    const begun = { state: "running", round: 0, phase: "work", createdAtMs: nowMs, phaseAtMs: nowMs, report: null } as const;
    await rows.insertJob({ id, revision: 1, waitMs: 0, kind: work.kind, target, rates: work.rates, ...begun }, signal);
    record = await rows.requireJob(signal);
  }
  requireSame(record, work, target);
  return new FleetJob(jobs, id, { work, clock, target });
}

async function cutsOf(work: JobWork, parts: number | undefined, signal: AbortSignal | undefined): Promise<PlanRecord> {
  const { rows, bounds } = await work.cuts({ least: parts ?? FEWEST_PARTS, most: parts ?? MOST_PARTS, rowsEach: ROWS_EACH }, signal);
  return { kind: work.kind, rows, bounds };
}

/** Takes every other bound until the plan fits into a row, and has no more parts than a job may have. */
function fitting(plan: PlanRecord): PlanRecord {
  let { bounds } = plan;
  while (bounds.length >= MOST_PARTS || JSON.stringify(bounds).length > MAX_PLAN_CHARACTERS)
    bounds = bounds.filter((_bound, at) => at % 2 === 1);
  return { ...plan, bounds };
}

/** @throws `invalid-argument` if this process would do something else than the job was planned for */
function requireSame(record: JobRecord, work: JobWork, target: readonly string[] | null): void {
  if (record.kind !== work.kind)
    throw invalidArgument(`job ${record.id} is of kind ${record.kind}, not ${work.kind}`, "Give another id to another job.");
  if (record.rates.length !== work.rates.length)
    throw invalidArgument(`job ${record.id} was planned with ${record.rates.length} budgets, this process has ${work.rates.length}`);
  if ((record.target === null) !== (target === null))
    throw invalidArgument(
      `job ${record.id} was planned ${record.target === null ? "with" : "without"} keyringOf, and this process has ${target === null ? "one" : "none"}`,
      "Plan it in every process as in the first: whose keys wrap is a matter of the job.",
    );
  if (record.target === null || target === null || sorted(record.target) === sorted(target)) return;
  throw new EnvelockError(
    "invalid-argument",
    `job ${record.id} wraps for ${shown(record.target)}, and this process would wrap for ${shown(target)}`,
    {
      hint: "Roll the new key out to every process before a rewrap. If the key was rotated since, cancel the job and plan one with another id.",
    },
  );
}

function sorted(names: readonly string[]): string {
  return [...names].sort().join("\n");
}

function shown(names: readonly string[]): string {
  return names.join(", ").slice(0, 300);
}

const PLAN_OPTIONS: OptionNames<PlanOptions> = { id: true, jobs: true, partitions: true, signal: true, clock: true };
const REWRAP_OPTIONS: OptionNames<PlanRewrapOptions> = {
  ...PLAN_OPTIONS,
  dataKeys: true,
  keyringOf: true,
  budgets: true,
  verification: true,
};
const BLOB_OPTIONS: OptionNames<PlanRewrapBlobsOptions> = {
  ...PLAN_OPTIONS,
  blobs: true,
  container: true,
  prefix: true,
  bounds: true,
  budgets: true,
  verification: true,
};
const REENCRYPT_OPTIONS: OptionNames<PlanReencryptOptions<unknown>> = {
  ...PLAN_OPTIONS,
  column: true,
  cipher: true,
  rows: true,
  update: true,
  bounds: true,
};
const FEWEST_PARTS = 16;
const ROWS_EACH = 50_000;
const MAX_PLAN_CHARACTERS = 1_900_000;
