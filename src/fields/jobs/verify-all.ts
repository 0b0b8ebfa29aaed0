import type { KeyTable } from "../key-table.ts";
import { type KeyRowsReport, overKeyRows } from "./key-rows.ts";
import type { JobOptions } from "./pages.ts";

export interface VerifyReport extends KeyRowsReport {
  /** Data keys that could be unwrapped, and are what their row says. */
  readonly opened: number;
}

/** Unwraps every data key once, and changes nothing. */
export async function verifyAll(table: KeyTable, options: JobOptions): Promise<VerifyReport> {
  let opened = 0;
  const report = await overKeyRows(
    table,
    {
      async live(row, scope) {
        (await table.unwrap(scope, row, options)).destroy();
        opened++;
      },
    },
    options,
  );
  return { ...report, opened };
}
