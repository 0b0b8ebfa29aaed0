import type { KeyTable } from "../key-table.ts";
import { type KeyRowsReport, overKeyRows } from "./key-rows.ts";
import type { JobOptions } from "./pages.ts";
import { rowBefore } from "./prove-all.ts";

export interface VerifyReport extends KeyRowsReport {
  /** Data keys that could be unwrapped, and are what their row says. */
  readonly opened: number;
}

/** Unwraps every data key and checks its proof, and changes nothing. */
export async function verifyAll(table: KeyTable, options: JobOptions): Promise<VerifyReport> {
  let opened = 0;
  const report = await overKeyRows(
    table,
    {
      async live(row, scope) {
        (await table.unwrap(scope, row, options)).destroy();
        opened++;
        if (row.version === 1) return;
        const before = await table.unwrap(scope, await rowBefore(table, row, scope, options), options);
        try {
          table.requireProof(scope, row, before);
        } finally {
          before.destroy();
        }
      },
    },
    options,
  );
  return { ...report, opened };
}
