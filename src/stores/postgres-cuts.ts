import type { CallOptions } from "../core/base/call-options.ts";
import { EnvelockError } from "../core/base/errors.ts";
import type { KeyCuts, WantedCuts } from "../core/contracts/data-key-store.ts";
import type { SqlAccess } from "./sql-store.ts";

/** Cuts the rows of a table, or of a range of scopes in it, by percentiles over a sample. `table` has the form of `quotedTable`. */
export async function postgresCuts(
  { run }: SqlAccess<string>,
  table: string,
  { after, to, rowsEach, least, most }: WantedCuts,
  options?: CallOptions,
): Promise<KeyCuts> {
  options?.signal?.throwIfAborted();
  const isWhole = after === undefined && to === undefined;
  const range = `where scope ${after === undefined ? ">=" : ">"} ? ${to === undefined ? "" : "and scope <= ?"}`;
  const values = [after ?? "", ...(to === undefined ? [] : [to])];
  const estimated = isWhole ? integerIn(await run(ESTIMATE, [table]), "rows") : 0;
  const rows =
    estimated >= LARGE_ROWS ? estimated : integerIn(await run(`select count(*) as "rows" from ${table} ${range}`, values), "rows");
  const parts = Math.min(most, Math.max(least, Math.ceil(rows / rowsEach)));
  if (parts < 2 || rows === 0) return { rows, bounds: [] };
  options?.signal?.throwIfAborted();
  const sample = isWhole && rows > SAMPLE_ROWS ? `tablesample system (${Math.min(100, (100 * SAMPLE_ROWS) / rows).toFixed(6)})` : "";
  const fractions = Array.from({ length: parts - 1 }, (_, at) => ((at + 1) / parts).toFixed(9));
  const statement = `select unnest(percentile_disc(array[${fractions.join(", ")}]::float8[]) within group (order by scope)) as "bound" from ${table} ${sample} ${range}`;
  const found = (await run(statement, values)).map(boundIn);
  const bounds = [...new Set(found)].filter((bound) => bound !== to); // in the order of the table: another than by code would lose rows
  return { rows, bounds };
}

function integerIn([row]: readonly unknown[], name: string): number {
  const value: unknown = typeof row === "object" && row !== null ? Reflect.get(row, name) : undefined;
  const integer = typeof value === "string" || typeof value === "bigint" ? Number(value) : value;
  if (typeof integer === "number" && Number.isSafeInteger(integer) && integer >= 0) return integer;
  throw new EnvelockError("provider-failure", "the database counted rows and gave no number");
}

function boundIn(row: unknown): string {
  const bound: unknown = typeof row === "object" && row !== null ? Reflect.get(row, "bound") : undefined;
  if (typeof bound === "string") return bound;
  throw new EnvelockError("provider-failure", "the database cut its rows and gave no text");
}

/** The estimate of the last `analyze`. 0 for a table that never had one. */
const ESTIMATE = `select coalesce(max(greatest(reltuples, 0)), 0)::bigint as "rows" from pg_class where oid = to_regclass(?)`;
/** From here on an estimate does. */
const LARGE_ROWS = 200_000;
const SAMPLE_ROWS = 100_000;
