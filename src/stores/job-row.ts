import { invalidArgument } from "../core/base/errors.ts";
import type { JobLease, JobPlace, JobRow, JobRowKind, LeasedJobRow } from "../core/contracts/job-store.ts";
import { integerIn, requireDocument } from "./document-row.ts";
import { noRow } from "./stored-row.ts";

/**
 * Parses a row of a file or a database. Integers may be numbers, bigints or decimal text, because clients differ.
 *
 * @throws `provider-failure` if it is no row
 */
export function jobRow(given: unknown): LeasedJobRow {
  if (typeof given !== "object" || given === null) throw noRow("it is no object");
  const fields = new Map<string, unknown>(Object.entries(given));
  const kind = JOB_ROW_KINDS.find((known) => known === fields.get("kind"));
  const [job, id, document] = [fields.get("job"), fields.get("id"), fields.get("document")];
  const [revision, leaseMs] = [integerIn(fields.get("revision")), integerIn(fields.get("leaseMs"))];
  if (kind === undefined) throw noRow(`kind is none of ${JOB_ROW_KINDS.join(", ")}`);
  if (typeof job !== "string" || typeof id !== "string") throw noRow("job or id is not text");
  if (typeof document !== "string") throw noRow("document is not text");
  if (revision === undefined || revision < 1) throw noRow("revision is not an integer above 0");
  if (leaseMs === undefined) throw noRow("leaseMs is not an integer of at least 0");
  return { kind, job, id, revision, document, leaseMs };
}

/** Requires a row that every store can hold. @throws `invalid-argument` */
export function storableJobRow(row: JobRow): JobRow {
  storablePlace(row);
  requireDocument(row, MAX_JOB_DOCUMENT_BYTES);
  return row;
}

/** Requires a lease that every store can measure. @throws `invalid-argument` */
export function storableLease({ leaseMs, onlyIfFree = false }: JobLease): Required<JobLease> {
  if (typeof leaseMs !== "number" || !(leaseMs >= 0 && leaseMs <= MAX_LEASE_MS))
    throw invalidArgument(`leaseMs is a number from 0 to ${MAX_LEASE_MS}`);
  return { leaseMs: Math.ceil(leaseMs), onlyIfFree };
}

function storablePlace({ kind, job, id }: JobPlace): void {
  if (!JOB_ROW_KINDS.includes(kind)) throw invalidArgument(`kind is none of ${JOB_ROW_KINDS.join(", ")}`);
  if (typeof job !== "string" || !JOB.test(job)) throw invalidArgument("job is 0 to 128 printable ASCII characters without spaces");
  if (typeof id !== "string" || !ROW_ID.test(id)) throw invalidArgument("id is 1 to 1600 printable ASCII characters without spaces");
}

export const JOB_ROW_KINDS: readonly JobRowKind[] = ["job", "plan", "partition", "failure", "budget"];
export const MAX_JOB_DOCUMENT_BYTES: number = 2 * 1024 * 1024;
const JOB = /^[\x21-\x7e]{0,128}$/;
const ROW_ID = /^[\x21-\x7e]{1,1600}$/;
const MAX_LEASE_MS = 7 * 24 * 3_600_000;
