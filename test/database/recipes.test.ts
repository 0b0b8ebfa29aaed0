import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { drizzle } from "drizzle-orm/node-postgres";
import { pgTable, serial } from "drizzle-orm/pg-core";
import { type Generated, Kysely, type KyselyPlugin, PostgresDialect } from "kysely";
import { Pool } from "pg";
import { afterAll, describe, expect, test } from "vitest";
import { DataKeys, memoryStore } from "../../src/fields/index.ts";
import { Keyring } from "../../src/index.ts";
import { encrypted } from "../../src/integrations/drizzle.ts";
import { encrypted as encryptedByTypeorm } from "../../src/integrations/typeorm.ts";
import { blocksOf, ROOT, writeBlock } from "../docs/code-blocks.ts";
import { expectExampleRuns } from "../docs/example-programs.ts";
import { openSqlite } from "../stores/sqlite-database.ts";
import { kek } from "../support/keks.ts";
import { freshDatabase } from "../support/postgres.ts";
import { untyped } from "../support/untyped.ts";

// Recipes that hold statements for a database, run as they are printed.

const folder = mkdtempSync(join(ROOT, "test/docs/.blocks-"));
const pool = new Pool({ connectionString: await freshDatabase(), max: 4 });
const lite = new PGlite();
afterAll(async () => {
  await pool.end();
  await lite.close();
  rmSync(folder, { recursive: true });
});

/** The block of a page that exports a name, as a module. */
async function recipe(page: string, name: string): Promise<Readonly<Record<string, (...args: readonly unknown[]) => Promise<unknown>>>> {
  const block = blocksOf(page).find(({ code }) => code.join("\n").includes(`function ${name}(`));
  if (block === undefined) throw new Error(`${page} has no function ${name}`);
  const { code } = block;
  const moved = code.map((line) => line.replace("/var/lib/app/", `${folder}/`));
  return await import(writeBlock(folder, { ...block, code: moved }));
}

const open = (): DataKeys => new DataKeys({ keyring: new Keyring(kek()), store: memoryStore(), announceMs: 0 });

interface Customers {
  readonly customers: { readonly id: Generated<string>; readonly email: string; readonly email_index: Generated<string> };
}

test("with the index first, a lookup finds all rows and no address is taken twice, from the first token to the last", async () => {
  const { fillIndexes, readingBoth, plugin } = await recipe("docs/recipes/encrypt-an-existing-application.md", "fillIndexes");
  const email = await open().field({
    ...{ table: "customers", column: "email", migrating: "plaintext-allowed" },
    blindIndex: { bits: 128, normalise: "caseless" },
  });
  await pool.query(
    "create table customers (id bigint generated always as identity primary key, email text not null, email_index text unique)",
  );
  await pool.query("insert into customers (email) values ('Ada@example.org'), ('bob@example.org')");
  await fillIndexes?.(pool, email);
  await pool.query("alter table customers alter column email_index set not null");
  const stored = async (): Promise<number> =>
    (await pool.query("select count(*)::int as n from customers where email like '%@%'")).rows[0].n;
  for (const [cipher, plaintexts] of [
    [await readingBoth?.(email), 3],
    [email, 3],
  ] as const) {
    const plugins = [untyped<KyselyPlugin>(await plugin?.(cipher))];
    const db = new Kysely<Customers>({ dialect: new PostgresDialect({ pool }), plugins });
    const address = `new-${plaintexts}-${cipher === email}@example.org`;
    await db.insertInto("customers").values({ email: address }).execute();
    for (const taken of ["ADA@example.org", "bob@example.org", address])
      await expect(db.insertInto("customers").values({ email: taken }).execute()).rejects.toMatchObject({ code: "23505" });
    const found = await db
      .selectFrom("customers")
      .select("email")
      .where("email", "in", ["ada@example.org", address])
      .orderBy("id")
      .execute();
    expect(found).toEqual([{ email: "Ada@example.org" }, { email: address }]);
    expect(await stored()).toBe(plaintexts);
  }
  await pool.query("drop table customers");
});

describe("a job that re-encrypts a column", () => {
  test("of text runs by the statements of the operations page", async () => {
    const { reencryptEmails } = await recipe("docs/operations.md", "reencryptEmails");
    const dataKeys = open();
    const email = await dataKeys.field({ table: "users", column: "email", nullable: true });
    await pool.query("create table users (id serial primary key, email text)");
    for (const [id, address] of [
      [1, "a@example.org"],
      [2, "b@example.org"],
    ] as const)
      await pool.query("insert into users (id, email) values ($1, $2)", [id, email.encrypt(address, { row: id })]);
    await dataKeys.rotate(undefined, { immediately: true });
    expect(await reencryptEmails?.(pool, email)).toMatchObject({ old: 2, failed: 0 });
    expect(await reencryptEmails?.(pool, email)).toMatchObject({ old: 0, failed: 0 });
    await pool.query("drop table users");
  });

  test.each([
    ["reencryptNotes", "note"],
    ["reencryptEmails", "email"],
  ] as const)("of json runs by the statements of the Drizzle page: %s", async (name, column) => {
    const job = (await recipe("docs/recipes/drizzle.md", name))[name];
    const dataKeys = open();
    const cipher = await dataKeys.field({ table: "users", column, blindIndex: { bits: 128 } });
    const indexed = name === "reencryptEmails";
    const users = pgTable("users", { id: serial().primaryKey(), [column]: encrypted(cipher, { indexed }) });
    await pool.query(`create table users (id serial primary key, ${column} json)`);
    await drizzle(pool)
      .insert(users)
      .values([{ [column]: "a@example.org" }, { [column]: "b@example.org" }]);
    await dataKeys.rotate(undefined, { immediately: true });
    expect(await job?.(pool, cipher)).toMatchObject({ old: 2, failed: 0 });
    expect(await job?.(pool, cipher)).toMatchObject({ old: 0, failed: 0 });
    const values = await drizzle(pool).select().from(users).orderBy(users.id);
    expect(values.map((row) => Reflect.get(row, column))).toEqual(["a@example.org", "b@example.org"]);
    await pool.query("drop table users");
  });

  test("of TypeORM has the type that the Drizzle page's statements are for", async () => {
    const cipher = await open().field({ table: "users", column: "note" });
    expect(encryptedByTypeorm(cipher).type).toBe("json");
  });
});

interface Answer {
  readonly rowCount: number;
}

/** What the recipe needs of a database, and a way to ask for all rows. */
interface Users {
  query(statement: string, values?: readonly unknown[]): Promise<Answer>;
  rows(): Promise<readonly Readonly<Record<string, unknown>>[]>;
}

const COLUMNS = "create table members (id text primary key, email text, email_index_1 text, email_index_2 text)";

const DATABASES: readonly (readonly [name: string, open: () => Promise<Users>])[] = [
  [
    "PostgreSQL",
    async () => ({
      query: async (statement, values = []) => ({ rowCount: (await pool.query(statement, [...values])).rowCount ?? 0 }),
      rows: async () => (await pool.query("select * from members order by id")).rows,
    }),
  ],
  [
    "PGlite",
    async () => ({
      query: async (statement, values = []) => ({ rowCount: (await lite.query(statement, [...values])).affectedRows ?? 0 }),
      rows: async () => (await lite.query<Readonly<Record<string, unknown>>>("select * from members order by id")).rows,
    }),
  ],
  [
    "SQLite",
    async () => {
      const database = await openSqlite(":memory:");
      const all = (statement: string, values: readonly unknown[] = []): readonly Readonly<Record<string, string>>[] =>
        JSON.parse(JSON.stringify(database.prepare(statement.replace(/\$(\d)/g, "?$1")).all(...values.map(String))));
      return {
        query: async (statement, values) => {
          all(statement, values);
          const [{ changed = 0 } = {}] = all("select changes() as changed");
          return { rowCount: Number(changed) };
        },
        rows: async () => all("select * from members order by id"),
      };
    },
  ],
];

describe.each(DATABASES)("a unique index over two versions, on %s", async (_name, openUsers) => {
  const page = await recipe("docs/recipes/blind-indexes.md", "insertUnique");
  const insertUnique = async (dataKeys: DataKeys, users: Users, id: string, address: string): Promise<unknown> => {
    const query = (statement: string, values: readonly unknown[]): Promise<Answer> =>
      users.query(statement.replaceAll("users", "members"), values);
    const { insertUnique: insert } = page;
    return await insert?.(dataKeys, { query }, id, address);
  };

  test("an address that is taken stays taken, whichever version the row has", async () => {
    const users = await openUsers();
    await users.query(COLUMNS);
    await users.query("create unique index members_1 on members (email_index_1)");
    await users.query("create unique index members_2 on members (email_index_2)");
    const dataKeys = open();
    const before = await dataKeys.field({ table: "users", column: "email", requireRow: true, blindIndex: { bits: 128 } });
    const old = "insert into members (id, email, email_index_1) values ($1, $2, $3)";
    await users.query(old, ["1", before.encrypt("ada@example.org", { row: "1" }), before.blindIndex("ada@example.org")]);

    expect(await insertUnique(dataKeys, users, "2", "ada@example.org")).toBe(false); // the row has the old index alone
    expect(await insertUnique(dataKeys, users, "3", "bea@example.org")).toBe(true);
    expect(await insertUnique(dataKeys, users, "4", "bea@example.org")).toBe(false);
    expect(await insertUnique(dataKeys, users, "5", "BEA@example.org")).toBe(false); // the same to the new index
    await expect(
      users.query(old, ["6", before.encrypt("bea@example.org", { row: "6" }), before.blindIndex("bea@example.org")]),
    ).rejects.toThrow(/unique/i); // a process of the release before
    const many = await Promise.all(["7", "8", "9"].map((id) => insertUnique(dataKeys, users, id, "cy@example.org")));
    expect(many.filter((isNew) => isNew === true)).toHaveLength(1);
    const rows = await users.rows();
    expect(rows.filter(({ id }) => id === "1" || id === "3")).toHaveLength(2);
    expect(rows).toHaveLength(3);
    expect(rows.filter(({ email_index_2: second }) => typeof second === "string" && second.length === 32)).toHaveLength(2);
  });
});

test("the tenants' example runs on a server", async () => {
  await expectExampleRuns("tenants.ts", { DATABASE_URL: await freshDatabase() });
}, 180_000);
