import type { KeyTable } from "../key-table.ts";
import { KeyRows, type KeyRowsReport } from "./key-rows.ts";
import { checkKeyJob, type KeyJobOptions } from "./scope-keyrings.ts";

export interface VerifyReport extends KeyRowsReport {
  /** Data keys that could be unwrapped, and are what their row says. */
  readonly opened: number;
}

/** Unwraps every data key and checks its proof, and changes nothing. */
export async function verifyAll(keyTable: KeyTable, options: KeyJobOptions): Promise<VerifyReport> {
  checkKeyJob(options);
  const keyRows = new KeyRows(keyTable, options);
  for await (const page of keyRows.pages()) {
    await page.each(async ({ table, scope, row, open, openBefore, done }) => {
      await open();
      done();
      if (row.version > 1) table.requireProof(scope, row, await openBefore());
    });
  }
  return { ...keyRows.report, opened: keyRows.done };
}
