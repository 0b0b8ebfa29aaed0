import { asc, DrizzleQueryError, eq, gt, inArray, isNotNull, isNull, like, relations, type SQL, sql } from "drizzle-orm";
import { drizzle, type NodePgDatabase } from "drizzle-orm/node-postgres";
import { alias, check, integer, json, pgTable, serial, text } from "drizzle-orm/pg-core";
import pg, { Pool } from "pg";
import { afterAll, beforeAll, describe, expect, expectTypeOf, test } from "vitest";
import { reencryptTable } from "../../src/fields/index.ts";
import { encrypted, indexIn, isToken } from "../../src/integrations/drizzle.ts";
import { refusalCode } from "../support/refusal.ts";
import { expectRows } from "../support/rules-table.ts";
import { type TestCiphers, testCiphers } from "./field-ciphers.ts";

/** The tests of `envelock/drizzle`, on the server that `open` names. */
export function drizzleCases(open: () => Promise<string>): void {
  let pool: Pool;
  let ciphers: TestCiphers;
  let current: TestCiphers;
  const email = encrypted(() => current.email);
  const users = pgTable("drizzle_users", {
    id: serial().primaryKey(),
    email: email.notNull(),
    emailIndex: text("email_index").notNull().unique(),
    age: encrypted(() => current.age, "age_token"),
  });
  const posts = pgTable("drizzle_posts", { id: serial().primaryKey(), author: integer().notNull(), title: encrypted(() => current.title) });
  const schema = {
    users,
    posts,
    usersRelations: relations(users, ({ many }) => ({ posts: many(posts) })),
    postsRelations: relations(posts, ({ one }) => ({ user: one(users, { fields: [posts.author], references: [users.id] }) })),
  };
  let db: NodePgDatabase<typeof schema>;
  const indexOf = (address: string): string => current.email.blindIndex(address);
  const row = (address: string, age: number | null = null): typeof users.$inferInsert => {
    return { email: address, emailIndex: indexOf(address), age };
  };

  beforeAll(async () => {
    pool = new Pool({ connectionString: await open(), max: 1 });
    db = drizzle(pool, { schema });
    ciphers = await testCiphers("acme");
    current = ciphers;
    await pool.query(`
      create table drizzle_users (id serial primary key, email json not null, email_index text not null unique, age_token json);
      create table drizzle_posts (id serial primary key, author int not null references drizzle_users, title json);
    `);
    await db.insert(users).values([row("ada@example.org", 36), row("grace@example.org"), row("alan@example.org", 41)]);
    await db.insert(posts).values({ author: 1, title: "Notes" });
  });
  afterAll(() => pool.end());

  test("rows come back as they went in, and hold tokens", async () => {
    const rows = await db.select().from(users).orderBy(asc(users.id));
    expect(rows.map((found) => [found.email, found.age])).toEqual([
      ["ada@example.org", 36],
      ["grace@example.org", null],
      ["alan@example.org", 41],
    ]);
    const { rows: stored } = await pool.query("select email, age_token from drizzle_users order by id");
    for (const { email, age_token } of stored) {
      expect(ciphers.email.decrypt(email)).toMatch(/@example.org$/);
      expect(age_token === null || typeof ciphers.age.decrypt(age_token) === "number").toBe(true);
    }
  });

  test("types are what the ciphers take, and null where a column allows it", () => {
    expectTypeOf<typeof users.$inferSelect>().toEqualTypeOf<{ id: number; email: string; emailIndex: string; age: number | null }>();
    expectTypeOf<typeof users.$inferInsert>().toEqualTypeOf<{
      id?: number | undefined;
      email: string;
      emailIndex: string;
      age?: number | null | undefined;
    }>();
  });

  test("a row is found by the blind index of its value", async () => {
    const found = await db
      .select({ email: users.email })
      .from(users)
      .where(eq(users.emailIndex, indexOf("grace@example.org")));
    expect(found).toEqual([{ email: "grace@example.org" }]);
  });

  test("a second row with the value is refused by the unique index", async () => {
    await expect(db.insert(users).values(row("ada@example.org"))).rejects.toMatchObject({ cause: { code: "23505" } });
  });

  describe("never an answer without rows: it is an error to", () => {
    const u = alias(users, "u");
    const filters: readonly [string, () => PromiseLike<unknown>][] = [
      ["compare", () => db.select().from(users).where(eq(users.email, "ada@example.org"))],
      [
        "compare with a list",
        () =>
          db
            .select()
            .from(users)
            .where(inArray(users.email, ["ada@example.org"])),
      ],
      ["compare under an alias", () => db.select().from(u).where(eq(u.email, "ada@example.org"))],
      ["order by size", () => db.select().from(users).where(gt(users.age, 40))],
      ["search", () => db.select().from(users).where(like(users.email, "ada%"))],
      ["compare in written SQL", () => db.select().from(users).where(sql`${users.email} = ${"ada@example.org"}`)],
      [
        "compare in a relational query",
        () => db.query.users.findMany({ where: (table, { eq: is }) => is(table.email, "ada@example.org") }),
      ],
      ["compare in an update", () => db.update(users).set({ age: 1 }).where(eq(users.email, "ada@example.org"))],
      ["compare in a delete", () => db.delete(users).where(eq(users.email, "ada@example.org"))],
      ["sort", () => db.select().from(users).orderBy(users.email)],
      ["look for different ones", () => db.selectDistinct({ email: users.email }).from(users)],
      ["join", () => db.select().from(users).innerJoin(u, eq(u.email, users.email))],
    ];
    test("the page lists them", () => expectRows("docs/recipes/drizzle.md", filters, "the database: json has no operator for it"));
    test.each(filters)("%s", async (_, query) => {
      await expect(query()).rejects.toThrow(DrizzleQueryError);
      await expect(query()).rejects.toMatchObject({
        cause: { message: expect.stringMatching(/(operator|function).*json|json.*operator/) },
      });
    });
  });

  test("null can be looked for", async () => {
    expect(await db.select({ id: users.id }).from(users).where(isNull(users.age))).toEqual([{ id: 2 }]);
    expect(await db.select({ id: users.id }).from(users).where(isNotNull(users.email))).toHaveLength(3);
  });

  test("updates, upserts and what they return", async () => {
    const [updated] = await db.update(users).set({ age: 37 }).where(eq(users.id, 1)).returning();
    expect(updated).toMatchObject({ email: "ada@example.org", age: 37 });
    const [upserted] = await db
      .insert(users)
      .values({ id: 1, ...row("ada@example.org", 38) })
      .onConflictDoUpdate({ target: users.id, set: { age: sql`excluded.age_token` } })
      .returning({ age: users.age });
    expect(upserted).toEqual({ age: 38 });
    const [cleared] = await db.update(users).set({ age: null }).where(eq(users.id, 3)).returning({ age: users.age });
    expect(cleared).toEqual({ age: null });
  });

  test("joins and relational queries decrypt", async () => {
    const joined = await db.select({ email: users.email, title: posts.title }).from(posts).innerJoin(users, eq(users.id, posts.author));
    expect(joined).toEqual([{ email: "ada@example.org", title: "Notes" }]);
    const found = await db.query.users.findFirst({ where: eq(users.id, 1), with: { posts: { columns: { title: true } } } });
    expect(found).toMatchObject({ email: "ada@example.org", posts: [{ title: "Notes" }] });
  });

  describe("with the index in the column", () => {
    const guarded = pgTable(
      "drizzle_guarded",
      {
        id: serial().primaryKey(),
        email: encrypted(() => current.email, { indexed: true }).notNull(),
        emailIndex: text("email_index")
          .generatedAlwaysAs((): SQL => indexIn(guarded.email))
          .unique(),
        copied: json(),
      },
      (table) => [check("email_is_token", isToken(table.email))],
    );
    const found = async (address: string): Promise<readonly number[]> =>
      (
        await db
          .select({ id: guarded.id })
          .from(guarded)
          .where(eq(guarded.emailIndex, indexOf(address)))
      ).map(({ id }) => id);

    beforeAll(async () => {
      const { sql: condition } = db
        .select({ condition: isToken(sql.raw("email")) })
        .from(guarded)
        .toSQL();
      await pool.query(`
        create table drizzle_guarded (id serial primary key, email json not null, email_index text generated always as (email ->> 'index') stored unique,
          copied json, check (${condition.slice("select ".length, condition.indexOf(' from "drizzle_guarded"'))}));
      `);
      await db.insert(guarded).values([{ email: "ada@example.org", copied: "ada@example.org" }, { email: "grace@example.org" }]);
    });

    test("no insert or update writes it, and none can forget it", async () => {
      expectTypeOf<typeof guarded.$inferInsert>().not.toHaveProperty("emailIndex");
      expect(await found("ada@example.org")).toEqual([1]);
      await db.update(guarded).set({ email: "ada@example.com" }).where(eq(guarded.id, 1));
      expect([await found("ada@example.org"), await found("ada@example.com")]).toEqual([[], [1]]);
      expect(await db.select({ email: guarded.email }).from(guarded).orderBy(guarded.id)).toEqual([
        { email: "ada@example.com" },
        { email: "grace@example.org" },
      ]);
      await expect(db.insert(guarded).values({ email: "grace@example.org" })).rejects.toMatchObject({ cause: { code: "23505" } });
      const upsert = db.insert(guarded).values({ id: 2, email: "hopper@example.org" });
      await upsert.onConflictDoUpdate({ target: guarded.id, set: { email: sql`excluded.email` } });
      expect([await found("grace@example.org"), await found("hopper@example.org")]).toEqual([[], [2]]);
    });

    const writes: readonly [string, () => PromiseLike<unknown>][] = [
      ["a copy of another column of json", () => db.update(guarded).set({ email: sql`${guarded.copied}` })],
      ["an expression", () => db.update(guarded).set({ email: sql`to_json(${"plain@example.org"}::text)` })],
      ["an object that is none", () => db.update(guarded).set({ email: sql`json_build_object('token', 'plain@example.org')` })],
      ["a number", () => db.update(guarded).set({ email: sql`'5'::json` })],
      [
        "an insert from a query",
        () => db.execute(sql`insert into ${guarded} (email) select copied from ${guarded} where copied is not null`),
      ],
    ];
    test("the page lists them", () => expectRows("docs/recipes/drizzle.md", writes, "the constraint of `isToken`"));
    test.each(writes)("%s writes no plaintext", async (_, query) => {
      await expect(query()).rejects.toMatchObject({ cause: { code: "23514" } });
    });

    test("a filter on it is an error of the database, and a cipher without an index is refused", async () => {
      await expect(db.select().from(guarded).where(eq(guarded.email, "ada@example.org"))).rejects.toThrow(DrizzleQueryError);
      const wrong = pgTable("drizzle_guarded", { email: encrypted(() => current.note, { indexed: true }) });
      expect(await refusalCode(() => db.insert(wrong).values({ email: "x" }))).toBe("invalid-argument");
      expect(await refusalCode(() => Reflect.apply(encrypted, undefined, [current.email, { index: true }]))).toBe("invalid-argument");
    });

    test("its tokens are re-encrypted with their index by the statements of the page", async () => {
      const report = await reencryptTable({
        cipher: ciphers.email,
        async rows(after, limit) {
          const page = await pool.query(REENCRYPT_ROWS, [after ?? 0, limit]);
          return page.rows.map(({ id, stored }) => ({ key: Number(id), stored }));
        },
        update: async ({ key, from, to, value }) =>
          (await pool.query(REENCRYPT_UPDATE, [key, from, to, ciphers.email.blindIndex(value)])).rowCount === 1,
      });
      expect(report).toMatchObject({ rows: 2, current: 2, failed: 0 });
      const { rows } = await pool.query(REENCRYPT_ROWS, [0, 1]);
      const moved = ciphers.email.encrypt("moved@example.org");
      const update = await pool.query(REENCRYPT_UPDATE, [1, rows[0].stored, moved, ciphers.email.blindIndex("moved@example.org")]);
      expect([update.rowCount, await found("moved@example.org")]).toEqual([1, [1]]);
    });
  });

  test("tokens are read where the program told the driver not to parse json", async () => {
    const parse = pg.types.getTypeParser(114);
    pg.types.setTypeParser(114, (unparsed) => unparsed);
    try {
      expect(await db.select({ email: users.email }).from(users).where(eq(users.id, 2))).toEqual([{ email: "grace@example.org" }]);
      const table = pgTable("drizzle_guarded", { id: serial(), email: encrypted(() => current.email, { indexed: true }) });
      expect(await db.select({ email: table.email }).from(table).where(eq(table.id, 2))).toEqual([{ email: "hopper@example.org" }]);
    } finally {
      pg.types.setTypeParser(114, parse);
    }
  });

  test("a migrating cipher reads plaintext too, and says so", async () => {
    const plaintexts: unknown[] = [];
    const open = (name: string) => encrypted(() => ciphers.migratingEmail, { name, onPlaintext: (place) => plaintexts.push(place) });
    const moving = pgTable("drizzle_moving", { id: serial().primaryKey(), email: open("email") });
    await pool.query(
      `create table drizzle_moving (id serial primary key, email text); insert into drizzle_moving (email) values ('legacy@example.org')`,
    );
    await pool.query("alter table drizzle_moving alter column email type json using to_json(email)");
    await db.insert(moving).values({ email: "new@example.org" });
    expect(await db.select({ email: moving.email }).from(moving).orderBy(moving.id)).toEqual([
      { email: "legacy@example.org" },
      { email: "new@example.org" },
    ]);
    expect(plaintexts).toEqual([{ column: "email" }]);
    const job = await reencryptTable({
      cipher: ciphers.migratingEmail,
      async rows(after, limit) {
        const page = await pool.query(PLAIN_ROWS, [after ?? 0, limit]);
        return page.rows.map(({ id, stored }) => ({ key: Number(id), stored }));
      },
      update: async ({ key, from, to }) => (await pool.query(PLAIN_UPDATE, [key, from, to])).rowCount === 1,
    });
    expect(job).toMatchObject({ plaintext: 1, current: 1, failed: 0 });
    const { rows } = await pool.query(PLAIN_ROWS, [0, 10]);
    expect(rows.map(({ stored }) => ciphers.email.decrypt(stored))).toEqual(["legacy@example.org", "new@example.org"]);
  });

  test("another tenant's cipher opens nothing", async () => {
    current = await testCiphers("globex");
    try {
      expect(await refusalCode(() => db.select({ email: users.email }).from(users))).toBe("authentication-failed");
    } finally {
      current = ciphers;
    }
  });

  test("a token that was moved to another column, and text that is none, are refused", async () => {
    await pool.query("update drizzle_posts set title = (select email from drizzle_users where id = 1)");
    expect(await refusalCode(() => db.select().from(posts))).toBe("authentication-failed");
    await pool.query(`update drizzle_posts set title = '"Notes"'`);
    expect(await refusalCode(() => db.select().from(posts))).toBe("malformed-envelope");
    await pool.query(`update drizzle_posts set title = '{"title":"Notes"}'`);
    expect(await refusalCode(() => db.select().from(posts))).toBe("malformed-envelope");
  });
}

// docs/recipes/drizzle.md, Re-encryption
const REENCRYPT_ROWS = "select id, email ->> 'token' as stored from drizzle_guarded where id > $1 order by id limit $2";
const REENCRYPT_UPDATE = `update drizzle_guarded set email = json_build_object('token', $3::text, 'index', $4::text)
  where id = $1 and email ->> 'token' = $2`;
const PLAIN_ROWS = "select id, email #>> '{}' as stored from drizzle_moving where id > $1 order by id limit $2";
const PLAIN_UPDATE = "update drizzle_moving set email = to_json($3::text) where id = $1 and email #>> '{}' = $2";
