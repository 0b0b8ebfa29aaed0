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
    await page.each(async ({ table, scope, row, record, before, done }) => {
      (await table.unwrapRecord(scope, row, record, options)).destroy();
      done();
      if (row.version === 1) return;
      const previous = await before();
      const key = await table.unwrapRecord(scope, previous.row, previous.record, options);
      try {
        table.requireProof(scope, row, key);
      } finally {
        key.destroy();
      }
    });
  }
  return { ...keyRows.report, opened: keyRows.done };
}
