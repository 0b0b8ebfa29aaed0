import type { KeyTable } from "../key-table.ts";
import { KeyRows, type KeyRowsReport } from "./key-rows.ts";
import { checkKeyJob, type KeyJobOptions } from "./scope-keyrings.ts";

export interface ProveReport extends KeyRowsReport {
  /** Rows that have got a proof now. */
  readonly proven: number;
}

/** Writes the proofs that rows lack, and trusts every row for it. A proof that is there and does not fit is a failure. */
export async function proveAll(keyTable: KeyTable, options: KeyJobOptions): Promise<ProveReport> {
  checkKeyJob(options);
  const keyRows = new KeyRows(keyTable, options);
  for await (const page of keyRows.pages()) {
    await page.each(async ({ table, scope, row, open, openBefore, done }) => {
      if (row.version === 1) return;
      const before = await openBefore();
      await open(); // a row that does not open gets no proof
      if (row.proof !== null) table.requireProof(scope, row, before);
      else if (await table.prove(scope, row, before, options)) done();
    });
  }
  return { ...keyRows.report, proven: keyRows.done };
}
