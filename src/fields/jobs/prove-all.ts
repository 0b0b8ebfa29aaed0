import { EnvelockError } from "../../core/base/errors.ts";
import { isLive, type KeyTable, type LiveRow, type Scope } from "../key-table.ts";
import { type KeyRowsReport, overKeyRows } from "./key-rows.ts";
import type { JobOptions } from "./pages.ts";

export interface ProveReport extends KeyRowsReport {
  /** Rows that have got a proof now. */
  readonly proven: number;
}

/** Writes the proofs that rows lack, and trusts every row for it. A proof that is there and does not fit is a failure. */
export async function proveAll(table: KeyTable, options: JobOptions): Promise<ProveReport> {
  let proven = 0;
  const prove = async (row: LiveRow, scope: Scope): Promise<void> => {
    const before = row.version === 1 ? undefined : await rowBefore(table, row, scope, options);
    if (before === undefined) return;
    (await table.unwrap(scope, row, options)).destroy(); // what does not open gets no proof
    const key = await table.unwrap(scope, before, options);
    try {
      if (row.proof !== null) table.requireProof(scope, row, key);
      else if (await table.prove(scope, row, key, options)) proven++;
    } finally {
      key.destroy();
    }
  };
  const report = await overKeyRows(table, { live: prove }, options);
  return { ...report, proven };
}

/** @throws `provider-failure` if there is none: what follows it cannot be checked */
export async function rowBefore(table: KeyTable, { version }: LiveRow, scope: Scope, options: JobOptions): Promise<LiveRow> {
  const before = (await table.rows(scope, options)).find((row) => row.version === version - 1);
  if (before === undefined || !isLive(before)) throw missing(version);
  return before;
}

function missing(version: number): EnvelockError {
  return new EnvelockError("provider-failure", `version ${version - 1} of the data key is missing: version ${version} cannot be checked`, {
    hint: "Bring the row back from a backup; `vouchedKids` takes a version whose predecessor is lost for good.",
  });
}
