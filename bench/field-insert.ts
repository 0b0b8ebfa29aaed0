import { deepStrictEqual } from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { asc } from "drizzle-orm";
import { drizzle, type NodePgDatabase } from "drizzle-orm/node-postgres";
import { integer, pgTable, text } from "drizzle-orm/pg-core";
import { Keyring } from "envelock";
import { encrypted } from "envelock/drizzle";
import { DataKeys, type FieldCipher, memoryStore } from "envelock/fields";
import { localKey } from "envelock/providers/local";
import { Pool } from "pg";
import { startPostgres } from "../test/support/postgres-server.ts";
import { median } from "./harness.ts";
import { type Run, timedRun } from "./runs.ts";

/** Inserting 10,000 rows into PostgreSQL through Drizzle, with one column encrypted and without; as a Markdown table. */
export async function insertTable(): Promise<string> {
  const server = await startPostgres();
  const pool = new Pool({ connectionString: server.url, max: 1 });
  pool.on("error", () => undefined); // the server ends before the last connection has told that it did
  try {
    const db = drizzle(pool);
    const tables = await makeTables(pool);
    await prove(db, tables);
    const rows: string[] = [];
    for (const rowsAtOnce of BATCHES) rows.push(await compared(db, pool, tables, rowsAtOnce));
    return [
      `| ${ROWS.length} rows, at once | plain, ms | encrypted, ms | encrypted / plain | CPU of the client |`,
      "| ---: | ---: | ---: | ---: | ---: |",
      ...rows,
    ].join("\n");
  } finally {
    await pool.end();
    await server.stop();
  }
}

/** Both in turn, on empty tables; the ratio is taken within a round, the median of all shown. */
async function compared(db: NodePgDatabase, pool: Pool, { plain, sealed }: Tables, rowsAtOnce: number): Promise<string> {
  const times: { readonly plain: Run; readonly sealed: Run }[] = [];
  for (let round = 0; round < ROUNDS + 1; round++) {
    const both: { plain?: Run; sealed?: Run } = {};
    for (const name of round % 2 === 0 ? (["plain", "sealed"] as const) : (["sealed", "plain"] as const)) {
      await pool.query("truncate bench_plain, bench_sealed");
      both[name] = await timedRun(() => insertAll(db, name === "plain" ? plain : sealed, rowsAtOnce));
    }
    const { plain: plainRun, sealed: sealedRun } = both;
    if (round > 0 && plainRun && sealedRun) times.push({ plain: plainRun, sealed: sealedRun }); // the first one warms up
  }
  const medians = [median(times.map(({ plain }) => plain.seconds)), median(times.map(({ sealed }) => sealed.seconds))];
  const shown = medians.map((seconds) => (seconds * 1000).toFixed(0));
  const ratio = (of: (run: Run) => number): string => median(times.map(({ plain, sealed }) => of(sealed) / of(plain))).toFixed(2);
  return `| ${rowsAtOnce} | ${shown.join(" | ")} | ${ratio(({ seconds }) => seconds)} | ${ratio(({ cpuSeconds }) => cpuSeconds)} |`;
}

async function insertAll(db: NodePgDatabase, table: Tables["plain"] | Tables["sealed"], rowsAtOnce: number): Promise<void> {
  for (let at = 0; at < ROWS.length; at += rowsAtOnce) await db.insert(table).values(ROWS.slice(at, at + rowsAtOnce));
}

async function makeTables(pool: Pool): Promise<Tables> {
  const keyring = new Keyring({ wrapWith: [localKey({ keyId: "bench", key: randomBytes(32) })] });
  await pool.query(`
    create table bench_plain (id int primary key, name text not null, email text not null, note text not null);
    create table bench_sealed (id int primary key, name text not null, email json not null, note text not null);
  `);
  return tablesOf(await new DataKeys({ keyring, store: memoryStore() }).field({ table: "users", column: "email" }));
}

function tablesOf(email: FieldCipher<string>) {
  const columns = { id: integer().primaryKey(), name: text().notNull(), note: text().notNull() };
  return {
    plain: pgTable("bench_plain", { ...columns, email: text().notNull() }),
    sealed: pgTable("bench_sealed", { ...columns, email: encrypted(email).notNull() }),
  };
}

type Tables = ReturnType<typeof tablesOf>;

/** Both tables give back the rows. */
async function prove(db: NodePgDatabase, { plain, sealed }: Tables): Promise<void> {
  await insertAll(db, plain, 1000);
  await insertAll(db, sealed, 1000);
  deepStrictEqual(await db.select().from(plain).orderBy(asc(plain.id)), await db.select().from(sealed).orderBy(asc(sealed.id)));
}

const { BENCH_INSERT_ROWS = "10000", BENCH_INSERT_AT_ONCE = "1,100,1000" } = process.env;
const BATCHES = BENCH_INSERT_AT_ONCE.split(",").map(Number);
const ROUNDS = 7;
const ROWS = Array.from({ length: Number(BENCH_INSERT_ROWS) }, (_, id) => ({
  id,
  name: `User ${id}`,
  email: `user-${id}@mail.example.org`,
  note: "x".repeat(100),
}));
