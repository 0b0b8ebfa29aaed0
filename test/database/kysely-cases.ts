import { CamelCasePlugin, type Generated, Kysely, PostgresDialect, sql } from "kysely";
import { jsonArrayFrom } from "kysely/helpers/postgres";
import { Pool } from "pg";
import { afterAll, beforeAll, describe, expect, expectTypeOf, test } from "vitest";
import { encryptedColumns } from "../../src/integrations/kysely.ts";
import { brokenToken } from "../support/broken-token.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { type TestCiphers, testCiphers } from "./field-ciphers.ts";

interface Database {
  readonly users: {
    readonly id: Generated<number>;
    readonly email: string;
    readonly email_index: Generated<string>;
    readonly age: number | null;
  };
  readonly shared: { readonly id: Generated<number>; readonly email: string; readonly email_index: Generated<string> };
  readonly moving: { readonly id: Generated<number>; readonly email: string; readonly email_index: Generated<string> };
  readonly renamed: { readonly id: Generated<number>; readonly homeAddress: string };
  readonly damaged: { readonly id: number; readonly note: string };
  readonly posts: { readonly id: Generated<number>; readonly author: number; readonly title: string | null; readonly email: string | null };
}

/** The tests of `envelock/kysely`, on the server that `open` names. */
export function kyselyCases(open: () => Promise<string>): void {
  let pool: Pool;
  let ciphers: TestCiphers;
  let current: TestCiphers;
  let db: Kysely<Database>;

  beforeAll(async () => {
    pool = new Pool({ connectionString: await open(), max: 1 });
    ciphers = await testCiphers("acme");
    current = ciphers;
    const plugin = encryptedColumns<Database>({
      users: {
        email: { cipher: () => current.email, indexColumn: "email_index" },
        age: ciphers.age,
      },
      posts: { title: ciphers.title },
    });
    db = new Kysely<Database>({ dialect: new PostgresDialect({ pool }), plugins: [plugin] });
    await pool.query(`
      create table users (id serial primary key, email text not null, email_index text not null unique, age text);
      create table posts (id serial primary key, author int not null references users, title text, email text);
    `);
    await db
      .insertInto("users")
      .values([
        { email: "ada@example.org", age: 36 },
        { email: "grace@example.org", age: null },
        { email: "alan@example.org", age: 41 },
      ])
      .execute();
    await db.insertInto("posts").values({ author: 1, title: "Notes", email: "contact@example.org" }).execute();
  });
  afterAll(() => pool.end());

  test("rows come back as they went in, and hold tokens and indexes", async () => {
    const rows = await db.selectFrom("users").selectAll().orderBy("id").execute();
    expect(rows).toMatchObject([
      { email: "ada@example.org", age: 36 },
      { email: "grace@example.org", age: null },
      { email: "alan@example.org", age: 41 },
    ]);
    expectTypeOf(rows).items.toMatchTypeOf<{ email: string; age: number | null }>();
    const { rows: stored } = await pool.query("select email, email_index, age from users order by id");
    expect(stored.map(({ email, email_index }) => [ciphers.email.decrypt(email), email_index])).toEqual(
      rows.map(({ email }) => [email, ciphers.email.blindIndex(email)]),
    );
    expect([ciphers.age.decrypt(stored[0].age), stored[1].age]).toEqual([36, null]);
  });

  test("a row is found by its value, by way of the index", async () => {
    const query = db.selectFrom("users as u").select(["u.id", "u.email as address"]).where("u.email", "=", "grace@example.org");
    expect(await query.execute()).toEqual([{ id: 2, address: "grace@example.org" }]);
    expect(query.compile().parameters).toEqual([ciphers.email.blindIndex("grace@example.org")]);
    const several = db.selectFrom("users").select("id").where("email", "in", ["alan@example.org", "ada@example.org", "nobody"]);
    expect(await several.orderBy("id").execute()).toEqual([{ id: 1 }, { id: 3 }]);
    expect(await db.selectFrom("users").select("id").where("email", "=", "nobody").execute()).toEqual([]);
  });

  test("a second row with the value is refused by the unique index", async () => {
    await expect(db.insertInto("users").values({ email: "ada@example.org" }).execute()).rejects.toMatchObject({ code: "23505" });
  });

  test("null can be looked for", async () => {
    expect(await db.selectFrom("users").select("id").where("age", "is", null).execute()).toEqual([{ id: 2 }]);
    expect(await db.selectFrom("posts").select("id").where("title", "is not", null).execute()).toHaveLength(1);
  });

  test("updates, upserts and what they return", async () => {
    const updated = db
      .updateTable("users")
      .set({ email: "ada@example.com", age: 37 })
      .where("email", "=", "ada@example.org")
      .returningAll();
    expect(await updated.execute()).toMatchObject([
      { email: "ada@example.com", email_index: ciphers.email.blindIndex("ada@example.com"), age: 37 },
    ]);
    const upserted = db
      .insertInto("users")
      .values({ id: 1, email: "ada@example.org", age: 38 })
      .onConflict((conflict) => conflict.column("id").doUpdateSet((eb) => ({ email: eb.ref("excluded.email"), age: 39 })))
      .returning(["email", "age as years", "email_index"]);
    expect(await upserted.execute()).toEqual([
      { email: "ada@example.org", years: 39, email_index: ciphers.email.blindIndex("ada@example.org") },
    ]);
    await db.updateTable("users").set("age", null).where("id", "=", 3).execute();
    expect(await db.selectFrom("users").select("age").where("id", "=", 3).executeTakeFirst()).toEqual({ age: null });
    const removed = db.deleteFrom("users").where("email", "=", "alan@example.org").returning("email");
    expect(await removed.execute()).toEqual([{ email: "alan@example.org" }]);
  });

  test("rows of a list may leave out what has a default", async () => {
    await db
      .insertInto("posts")
      .values([{ author: 2, title: "One" }, { author: 2, title: null, email: "x" }, { author: 2 }])
      .execute();
    const titles = await db.selectFrom("posts").select("title").where("author", "=", 2).orderBy("id").execute();
    expect(titles).toEqual([{ title: "One" }, { title: null }, { title: null }]);
  });

  test("joins decrypt, also where a plain column has the name of an encrypted one", async () => {
    const rows = db.selectFrom("posts as p").innerJoin("users as u", "u.id", "p.author").where("u.id", "=", 1);
    expect(await rows.select(["u.email", "p.title"]).execute()).toEqual([{ email: "ada@example.org", title: "Notes" }]);
    expect(await rows.select(["u.email as sealed", "p.email"]).execute()).toEqual([
      { sealed: "ada@example.org", email: "contact@example.org" },
    ]);
    expect(await db.selectFrom("posts as p").select("p.email").where("p.email", "=", "contact@example.org").execute()).toHaveLength(1);
    expect(await rows.selectAll("u").execute()).toMatchObject([{ email: "ada@example.org", age: 39 }]);
  });

  test("nested queries may filter by the index, and select what is plain", async () => {
    const author = db.selectFrom("users").select("id").where("email", "=", "ada@example.org");
    expect(await db.selectFrom("posts").select("title").where("author", "in", author).execute()).toEqual([{ title: "Notes" }]);
    const named = db
      .with("ids", () => author)
      .selectFrom("ids")
      .innerJoin("users", "users.id", "ids.id")
      .select("users.email");
    expect(await named.execute()).toEqual([{ email: "ada@example.org" }]);
  });

  describe("never an answer without rows, and nothing is sent: refused is", () => {
    const users = () => db.selectFrom("users").select("id");
    test.each<[string, () => { execute(): Promise<unknown> }]>([
      ["a filter without an index", () => users().where("age", "=", 36)],
      ["a filter by size", () => users().where("email", ">", "a")],
      ["a search", () => users().where("email", "like", "ada%")],
      ["a filter for other values", () => users().where("email", "!=", "ada@example.org")],
      ["a filter by null as a value", () => users().where("email", "in", [sql.lit(null)])],
      [
        "a filter by a query",
        () => users().where("email", "in", db.selectFrom("posts").select("posts.email").$castTo<{ email: string }>()),
      ],
      ["a filter in an or", () => users().where((eb) => eb.or([eb("id", "=", 1), eb("users.age", "=", 36)]))],
      ["a filter by another column", () => users().whereRef("email", "=", "email_index")],
      ["a join", () => db.selectFrom("posts").innerJoin("users", "users.email", "posts.email").select("users.id")],
      ["an order", () => users().orderBy("age")],
      ["an order by an alias", () => db.selectFrom("users").select("age as years").orderBy("years")],
      [
        "a group",
        () =>
          db
            .selectFrom("users")
            .select((eb) => eb.fn.countAll().as("rows"))
            .groupBy("age"),
      ],
      ["an aggregate", () => db.selectFrom("users").select((eb) => eb.fn.max("age").as("oldest"))],
      ["a distinct on", () => db.selectFrom("users").distinctOn("email").select("id")],
      ["a reference in written SQL", () => users().where(sql<boolean>`${sql.ref("users.email")} ilike 'ada%'`)],
      ["a nested query that selects it", () => db.selectFrom(db.selectFrom("users").select("email").as("all")).selectAll()],
      [
        "a named query that selects it",
        () =>
          db
            .with("all", (query) => query.selectFrom("users").selectAll())
            .selectFrom("all")
            .selectAll(),
      ],
      ["JSON that holds it", () => db.selectFrom("posts").select((eb) => jsonArrayFrom(eb.selectFrom("users").select("email")).as("all"))],
      ["a union", () => db.selectFrom("users").select("email").union(db.selectFrom("users").select("email"))],
      ["an insert of an expression", () => db.insertInto("users").values({ email: sql`lower('X')` })],
      [
        "an insert from a query",
        () =>
          db
            .insertInto("posts")
            .columns(["author", "title"])
            .expression(db.selectFrom("posts").select(["author", "email"])),
      ],
      ["an update by an expression", () => db.updateTable("users").set((eb) => ({ email: eb.ref("email_index") }))],
      ["a write to the index", () => db.insertInto("users").values({ email: "x", email_index: "x" })],
      ["an update of the index", () => db.updateTable("users").set({ email_index: "x" })],
    ])("%s", async (_, query) => {
      expect((await refusal(() => query().execute())).code).toBe("invalid-argument");
    });
  });

  test("another tenant's cipher opens nothing", async () => {
    current = await testCiphers("globex");
    try {
      expect(await refusalCode(() => db.selectFrom("users").select("email").execute())).toBe("authentication-failed");
    } finally {
      current = ciphers;
    }
  });

  test("by a short index only the wanted rows come back, however many share it", async () => {
    const short = db
      .withoutPlugins()
      .withPlugin(encryptedColumns<Database>({ shared: { email: { cipher: ciphers.shortEmail, indexColumn: "email_index" } } }));
    await pool.query("create table shared (id serial primary key, email text, email_index text)");
    const values = Array.from({ length: 40 }, (_, at) => ({ email: `user${at}@example.org` }));
    await short.insertInto("shared").values(values).execute();
    const found = short.selectFrom("shared").select(["id", "email as address"]).where("email", "=", "USER7@example.org");
    expect(await found.execute()).toEqual([{ id: 8, address: "user7@example.org" }]);
    expect(await found.executeTakeFirst()).toEqual({ id: 8, address: "user7@example.org" });
    const { rows } = await pool.query("select from shared where email_index = any($1)", [
      ciphers.shortEmail.blindIndexAll("user7@example.org"),
    ]);
    expect(rows.length).toBeGreaterThan(1);
    expect(await refusalCode(() => short.deleteFrom("shared").where("email", "=", "user7@example.org").execute())).toBe("invalid-argument");
    expect(await refusalCode(() => found.limit(1).execute())).toBe("invalid-argument");
  });

  test("while a column is being encrypted both are read, and no row is overlooked", async () => {
    const plaintexts: unknown[] = [];
    const open = (indexFilled: boolean): Kysely<Database> =>
      db.withoutPlugins().withPlugin(
        encryptedColumns<Database>(
          { moving: { email: { cipher: ciphers.migratingEmail, indexColumn: "email_index", indexFilled } } },
          {
            onPlaintext(place) {
              plaintexts.push(place);
              return Promise.reject(new Error("what nothing waits for must not end the process"));
            },
          },
        ),
      );
    await pool.query("create table moving (id serial primary key, email text, email_index text unique)");
    await pool.query("insert into moving (email) values ('legacy@example.org')");
    const [before, after] = [open(false), open(true)];
    expect(await before.selectFrom("moving").select("email").execute()).toEqual([{ email: "legacy@example.org" }]);
    expect(plaintexts).toEqual([{ table: "moving", column: "email", row: 1 }]);
    const refused = [
      () => before.selectFrom("moving").select("email").where("email", "=", "legacy@example.org").execute(),
      () => before.insertInto("moving").values({ email: "legacy@example.org" }).execute(),
      () => before.updateTable("moving").set({ email: "legacy@example.org" }).execute(),
    ];
    for (const query of refused)
      expect(await refusal(query)).toMatchObject({ code: "invalid-argument", message: /index is not said to be filled/ });

    await pool.query("update moving set email_index = $1", [ciphers.migratingEmail.blindIndex("legacy@example.org")]);
    await expect(after.insertInto("moving").values({ email: "legacy@example.org" }).execute()).rejects.toMatchObject({ code: "23505" });
    await after.insertInto("moving").values({ email: "new@example.org" }).execute();
    const found = after.selectFrom("moving").select("id").where("email", "in", ["legacy@example.org", "new@example.org"]);
    expect(await found.orderBy("id").execute()).toMatchObject([{ id: 1 }, { id: 3 }]);
  });

  test("columns that another plugin renames are decrypted all the same", async () => {
    await pool.query("create table renamed (id serial primary key, home_address text)");
    const plugins = [encryptedColumns<Database>({ renamed: { homeAddress: ciphers.note } }), new CamelCasePlugin()];
    const renaming = plugins.reduce((each, plugin) => each.withPlugin(plugin), db.withoutPlugins());
    await renaming.insertInto("renamed").values({ homeAddress: "12 Byron St" }).execute();
    expect(await renaming.selectFrom("renamed").selectAll().execute()).toEqual([{ id: 1, homeAddress: "12 Byron St" }]);
    const { rows } = await pool.query("select home_address from renamed");
    expect(ciphers.note.decrypt(rows[0].home_address)).toBe("12 Byron St");
  });

  test("an error names the table, the column, the row of the result and the data key", async () => {
    await pool.query("create table damaged (id int, note text)");
    const [good, bad] = ["fine", "moved"].map((text) => ciphers.note.encrypt(text));
    await pool.query("insert into damaged values (1, $1), (2, $2)", [good, brokenToken(bad ?? "")]);
    const damaged = db.withoutPlugins().withPlugin(encryptedColumns<Database>({ damaged: { note: ciphers.note } }));
    const error = await refusal(() => damaged.selectFrom("damaged").selectAll().orderBy("id").execute());
    expect(error).toMatchObject({ code: "authentication-failed", message: /^damaged\.note, row 2 of the result, data key [0-9a-f]{32}: / });
  });

  test.each([
    ["an option", () => Reflect.apply(encryptedColumns, undefined, [{}, { onplaintext: () => undefined }])],
    [
      "an option of a column",
      () => Reflect.apply(encryptedColumns, undefined, [{ users: { email: { cipher: ciphers.email, index: "x" } } }]),
    ],
    ["a column without a cipher", () => Reflect.apply(encryptedColumns, undefined, [{ users: { email: "x" } }])],
    ["an index without its name", () => Reflect.apply(encryptedColumns, undefined, [{ users: { email: { cipher: ciphers.email } } }])],
    [
      "an index of two columns",
      () =>
        encryptedColumns<Database>({
          users: {
            email: { cipher: ciphers.email, indexColumn: "email_index" },
            age: { ...{ cipher: ciphers.age }, indexColumn: "email_index" },
          },
        }),
    ],
  ])("%s that is not known is refused when the plugin is made", async (_, make) => {
    expect(await refusalCode(make)).toBe("invalid-argument");
  });

  test("a value that is a token already, and a token that is none, are refused", async () => {
    const token = ciphers.email.encrypt("x@example.org");
    expect(await refusalCode(() => db.insertInto("users").values({ email: token }).execute())).toBe("invalid-argument");
    await pool.query("update posts set title = 'Notes' where id = 1");
    expect(await refusalCode(() => db.selectFrom("posts").select("title").where("id", "=", 1).execute())).toBe("malformed-envelope");
  });
}
