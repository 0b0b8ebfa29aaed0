import { asc, DrizzleQueryError, eq, gt, inArray, isNotNull, isNull, like, relations, sql } from "drizzle-orm";
import { drizzle, type NodePgDatabase } from "drizzle-orm/node-postgres";
import { alias, integer, pgTable, serial, text } from "drizzle-orm/pg-core";
import { Pool } from "pg";
import { afterAll, beforeAll, describe, expect, expectTypeOf, test } from "vitest";
import { encrypted } from "../../src/integrations/drizzle.ts";
import { refusalCode } from "../support/refusal.ts";
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
    test.each<[string, () => PromiseLike<unknown>]>([
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
    ])("%s", async (_, query) => {
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
