import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as kysely from "kysely";
import {
  type Compilable,
  DummyDriver,
  ExpressionWrapper,
  type Generated,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  sql,
  TableNode,
} from "kysely";
import { jsonArrayFrom } from "kysely/helpers/postgres";
import { describe, expect, test } from "vitest";
import { RULES } from "../../src/integrations/kysely/rules.ts";
import { encryptedColumns } from "../../src/integrations/kysely.ts";
import { ROOT } from "../docs/code-blocks.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { rulesTable } from "../support/rules-table.ts";
import { untyped } from "../support/untyped.ts";

// The rules of docs/recipes/kysely.md: each row has queries that are sent, as they are sent, and queries that are refused.

interface Users {
  readonly id: Generated<number>;
  readonly email: string | null;
  readonly email_index: Generated<string | null>;
  readonly name: string | null;
  readonly name_index: Generated<string | null>;
  readonly note: string | null;
  readonly plain: string | null;
}
interface Database {
  readonly users: Users;
  readonly "crm.users": Users;
  readonly "crm.accounts": Users;
  readonly posts: { readonly id: Generated<number>; readonly author: number; readonly email: string | null; readonly plain: string | null };
}

/** Shows what it did: `~ada` is the token, `#ada` the unique index, `%a` the short one of `ada`. */
const cipher = { encrypt: (value: string | null) => `~${value}`, decrypt: (token: string) => token.slice(1) };
const unique = {
  ...cipher,
  blindIndex: (value: string | null) => `#${value}`,
  blindIndexAll: (value: string | null) => [`#${value}`],
  hasUniqueIndex: true,
};
const short = {
  ...cipher,
  blindIndex: (value: string | null) => `%${value?.[0]}`,
  blindIndexAll: (value: string | null) => [`%${value?.[0]}`],
  hasUniqueIndex: false,
  isSameToIndex: (value: string | null, other: string | null) => value === other,
};
const columns = {
  email: { cipher: unique, indexColumn: "email_index" },
  name: { cipher: short, indexColumn: "name_index" },
  note: cipher,
} as const;
const db = new Kysely<Database>({
  dialect: {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (of) => new PostgresIntrospector(of),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  },
  plugins: [encryptedColumns<Database>({ users: columns, "crm.accounts": columns })],
});
const other = db.withTables<{ readonly accounts: Users; readonly Users: Users }>();
const users = db.selectFrom("users").select("users.id");
const posts = db.selectFrom("posts").select("posts.id");
const aliased = db.selectFrom("users").select("users.email as address");
/** A source whose alias gives the columns other names. */
const renamedUsers = new ExpressionWrapper<Database, "users", Users>(TableNode.create("users")).as<"u">(sql`u(a, b, c)`);

/** What is sent: the statement with its values put in. */
type Sent = readonly [query: () => Compilable | { compile(executor: typeof db): { sql: string } }, sent: string];
type Refused = readonly [query: () => Compilable | { compile(executor: typeof db): { sql: string } }, why: RegExp];

const SENT: Readonly<Record<string, readonly Sent[]>> = {
  select: [
    [() => users.select("email").limit(1), "select users.id, email from users limit 1"],
    [() => users.where("name", "=", "ada").select("name"), "select users.id, name from users where name_index in (%a)"],
    [() => users.select("plain").distinct(), "select distinct users.id, plain from users"],
    [
      () => db.selectFrom("crm.accounts").select("email").where("email", "=", "ada"),
      "select email from crm.accounts where email_index in (#ada)",
    ],
    [
      () => db.withSchema("tenant").selectFrom("users").select("email").where("email", "=", "ada"),
      "select email from tenant.users where email_index in (#ada)",
    ],
  ],
  insert: [
    [
      () => db.insertInto("users").values({ email: "ada", plain: "x" }),
      "insert into users (email, plain, email_index) values (~ada, x, #ada)",
    ],
    [
      () => db.insertInto("users").values([{ email: "ada" }, { note: "n" }]),
      "insert into users (email, note, email_index) values (~ada, default, #ada), (default, ~n, default)",
    ],
    [() => db.insertInto("users").values({ email: null }), "insert into users (email, email_index) values (null, null)"],
    [
      () => db.insertInto("users").columns(["plain"]).expression(posts.select("plain").clearSelect().select("plain")),
      "insert into users (plain) select plain from posts",
    ],
    [() => db.insertInto("users").defaultValues(), "insert into users default values"],
  ],
  update: [
    [
      () => db.updateTable("users").set({ email: "ada", plain: "x" }).where("id", "=", 1),
      "update users set email = ~ada, email_index = #ada, plain = x where id = 1",
    ],
    [
      () => db.updateTable("users as u").set("u.email", null).where("u.email", "=", "ada"),
      "update users as u set u.email = null, u.email_index = null where u.email_index in (#ada)",
    ],
    [
      () =>
        db
          .insertInto("users")
          .values({ email: "ada" })
          .onConflict((oc) =>
            oc.column("email_index").doUpdateSet((eb) => ({ email: eb.ref("excluded.email"), plain: eb.ref("excluded.plain") })),
          ),
      "insert into users (email, email_index) values (~ada, #ada) on conflict (email_index) do update set email = excluded.email, email_index = excluded.email_index, plain = excluded.plain",
    ],
  ],
  delete: [
    [
      () => db.deleteFrom("users").where("email", "=", "ada").returning("email"),
      "delete from users where email_index in (#ada) returning email",
    ],
  ],
  compare: [
    [() => users.where("email", "in", ["ada", "bob"]), "select users.id from users where email_index in (#ada, #bob)"],
    [() => users.where("note", "is", null), "select users.id from users where note is null"],
    [() => users.where("email", "is not", null), "select users.id from users where email is not null"],
    [() => users.where("email_index", "in", ["#ada"]), "select users.id from users where email_index in (#ada)"],
  ],
  output: [
    [() => db.selectFrom("users").selectAll(), "select * from users"],
    [
      () => db.selectFrom("users").innerJoin("posts", "posts.author", "users.id").selectAll("posts").select("users.email as address"),
      "select posts.*, users.email as address from users inner join posts on posts.author = users.id",
    ],
    [() => db.insertInto("users").values({ plain: "x" }).returningAll(), "insert into users (plain) values (x) returning *"],
    [() => users.select("email_index"), "select users.id, email_index from users"],
  ],
  column: [
    [
      () => posts.where("author", "in", users.where("email", "=", "ada")),
      "select posts.id from posts where author in (select users.id from users where email_index in (#ada))",
    ],
    [
      () => users.where((eb) => eb.exists(eb.selectFrom("posts").select("posts.id").where("posts.email", "=", "ada"))),
      "select users.id from users where exists (select posts.id from posts where posts.email = ada)",
    ],
    [
      () => users.where((eb) => eb.exists(eb.selectFrom("posts").select("posts.id").where("users.email", "=", "ada"))),
      "select users.id from users where exists (select posts.id from posts where users.email_index in (#ada))",
    ],
    [
      () => db.selectFrom("posts as users").select("users.email").where("users.email", "=", "ada"),
      "select users.email from posts as users where users.email = ada",
    ],
  ],
  table: [[() => db.selectFrom("posts").select((eb) => eb.fn.toJson("posts").as("all")), "select to_json(posts) as all from posts"]],
  with: [
    [
      () =>
        db
          .with("some", () => users.where("email", "=", "ada"))
          .selectFrom("some")
          .select("some.id"),
      "with some as (select users.id from users where email_index in (#ada)) select some.id from some",
    ],
  ],
  sql: [
    [() => users.where(sql<boolean>`lower(plain) = ${"x"}`), "select users.id from users where lower(plain) = x"],
    [
      () => users.where(sql<boolean>`users.plain = ${sql.ref("users.plain")}`),
      "select users.id from users where users.plain = users.plain",
    ],
    [() => sql`select count(*) from posts where email = ${"x"}`, "select count(*) from posts where email = x"],
  ],
  sources: [
    [
      () => db.selectFrom(users.as("u")).innerJoin("posts", "posts.id", "u.id").select("posts.plain"),
      "select posts.plain from (select users.id from users) as u inner join posts on posts.id = u.id",
    ],
    [
      () => db.deleteFrom("posts").using("users").whereRef("users.id", "=", "posts.author").where("users.email", "=", "ada"),
      "delete from posts using users where users.id = posts.author and users.email_index in (#ada)",
    ],
  ],
  and: [
    [
      () =>
        db
          .selectFrom("users")
          .select(["name", "email"])
          .where((eb) => eb.and({ name: "ada", plain: "x" })),
      "select name, email from users where (name_index in (%a) and plain = x)",
    ],
  ],
  negation: [
    [() => users.where((eb) => eb.not(eb("email", "=", "ada"))), "select users.id from users where not email_index in (#ada)"],
    [
      () => users.where((eb) => eb.or([eb("email", "=", "ada"), eb("id", "=", 1)])),
      "select users.id from users where (email_index in (#ada) or id = 1)",
    ],
    [
      () => db.selectFrom("users").select((eb) => eb.fn.countAll().filterWhere("email", "=", "ada").as("n")),
      "select count(*) filter(where email_index in (#ada)) as n from users",
    ],
  ],
  expressions: [
    [
      () =>
        users
          .select((eb) => eb.fn.max("plain").as("last"))
          .groupBy("id")
          .orderBy("plain desc"),
      "select users.id, max(plain) as last from users group by id order by plain desc",
    ],
    [() => users.groupBy("email_index"), "select users.id from users group by email_index"],
  ],
  values: [[() => users.where("plain", "in", ["a", "b"]).limit(2), "select users.id from users where plain in (a, b) limit 2"]],
  merge: [],
  schema: [
    [
      () => db.schema.createIndex("by_email").on("users").column("email_index").unique(),
      "create unique index by_email on users (email_index)",
    ],
    [() => db.schema.alterTable("users").addColumn("age", "text"), "alter table users add column age text"],
    [
      () => db.schema.alterTable("users").alterColumn("email", (column) => column.setDefault(null)),
      "alter table users alter column email set default null",
    ],
    [
      () => db.schema.alterTable("users").alterColumn("email_index", (column) => column.setDefault("")),
      "alter table users alter column email_index set default ''",
    ],
  ],
};

const REFUSED: Readonly<Record<string, readonly Refused[]>> = {
  select: [
    [() => users.select("email").distinct(), /distinct/],
    [() => users.select("email").distinctOn("email"), /expression/],
    [() => users.select("email").modifyFront(sql`distinct`), /distinct/],
    [() => users.select("email").union(users.select("email")), /nested/],
    [() => users.clearSelect().select("email").intersect(posts.clearSelect().select("email")), /nested/],
    [() => users.select("name").where("name", "=", "ada").limit(1), /short.*limit/],
    [() => users.select("name").where("name", "=", "ada").offset(1), /short.*limit/],
    [() => users.select("name").where("name", "=", "ada").fetch(1), /short.*limit/],
    [() => users.where("name", "=", "ada"), /select it/],
    [() => users.select("name").where("name", "=", "ada").modifyEnd(sql`limit 1`), /short.*sql/],
    [() => users.select("name").where("name", "=", "ada").groupBy("id"), /short.*groups/],
    [() => users.select(["name", (eb) => eb.fn.countAll().as("n")]).where("name", "=", "ada"), /counts/],
    [() => users.select(["name", (eb) => eb.selectFrom("posts").select("plain").as("n")]).where("name", "=", "ada"), /counts/],
    [
      () => db.withSchema("crm").selectFrom("users as Accounts").select("Accounts.email").where(sql.ref("accounts.email"), "=", "x"),
      /not certain/,
    ],
  ],
  insert: [
    [() => db.insertInto("users").expression(posts.select("email")), /name its columns/],
    [() => db.insertInto("users").columns(["id", "email"]).expression(posts.select("email")), /insert from a query/],
    [() => db.insertInto("users").values({ email: sql<string>`'x'` }), /expression/],
    [() => db.insertInto("users").values({ email: sql.val("x") }), /expression/],
    [() => db.insertInto("users").values((eb) => ({ email: eb.cast<string>(eb.val("x"), "text") })), /expression/],
    [() => db.insertInto("users").values((eb) => ({ email: eb.selectFrom("posts").select("email").limit(1) })), /expression/],
    [() => db.insertInto("users").values({ email: "x", email_index: "x" }), /blind index/],
    [
      () =>
        db
          .insertInto("users")
          .values({ email: "x" })
          .onConflict((oc) => oc.column("email").doNothing()),
      /on conflict/,
    ],
    [
      () =>
        db
          .insertInto("users")
          .values({ name: "x" })
          .onConflict((oc) => oc.column("name_index").doNothing()),
      /short/,
    ],
    [
      () =>
        db
          .insertInto("posts")
          .columns(["author", "plain"])
          .expression(db.selectFrom("users").select(["id", "email"])),
      /nested/,
    ],
    [() => db.insertInto("posts").columns(["author", "plain"]).expression(db.selectFrom("users").selectAll()), /nested/],
  ],
  update: [
    [() => db.updateTable("users").set({ email: sql<string>`plain` }), /expression/],
    [() => db.updateTable("users").set((eb) => ({ email: eb.ref("plain") })), /expression/],
    [() => db.updateTable("users").set((eb) => ({ plain: eb.ref("email") })), /expression/],
    [
      () =>
        db
          .updateTable("posts")
          .from("users")
          .set((eb) => ({ plain: eb.ref("users.email") })),
      /expression/,
    ],
    [() => db.updateTable("users").set({ email_index: "x" }), /blind index/],
    [
      () =>
        db
          .updateTable("users")
          .from("posts as excluded")
          .set((eb) => ({ email: eb.ref("excluded.email") })),
      /excluded/,
    ],
    [() => db.updateTable("users").set({ plain: "x" }).where("name", "=", "ada"), /short.*update/],
    [() => db.updateTable("users").set({ plain: "x" }).where("name_index", "=", "%a"), /short.*update/],
    [() => db.updateTable("posts").from("users").set({ plain: "x" }).where("users.name", "=", "ada"), /short.*update/],
    [
      () =>
        db
          .insertInto("users")
          .values({ email: "x" })
          .onConflict((oc) => oc.column("id").doUpdateSet((eb) => ({ note: eb.ref("excluded.email") }))),
      /expression/,
    ],
    [
      () =>
        db
          .insertInto("users")
          .values({ email: "x" })
          .onConflict((oc) => oc.column("id").doUpdateSet((eb) => ({ plain: eb.ref("excluded.email") }))),
      /not certain/,
    ],
    [
      () =>
        db
          .insertInto("users")
          .values({ email: "x" })
          .onConflict((oc) => oc.column("id").doUpdateSet({ plain: "x" }).where("users.name", "=", "ada")),
      /short/,
    ],
  ],
  delete: [
    [() => db.deleteFrom("users").where("name", "=", "ada"), /short.*delete/],
    [() => db.deleteFrom("users").where("name_index", "in", ["%a"]), /short.*delete/],
    [() => db.deleteFrom("posts").where("author", "in", db.selectFrom("users").select("id").where("name", "=", "ada")), /short/],
    [
      () => db.deleteFrom("users").where("id", "in", (eb) => eb.selectFrom("posts").select("author").where("email", "=", "ada")),
      /not certain/,
    ],
  ],
  compare: [
    [() => users.where("note", "=", "x"), /no index/],
    [() => users.where("email", "!=", "x"), /other than/],
    [() => users.where("email", "not in", ["x"]), /other than/],
    [() => users.where("email", "like", "x%"), /other than/],
    [() => users.where("email", "is distinct from", "x"), /other than/],
    [() => users.where((eb) => eb.between("email", "a", "b")), /other than/],
    [() => users.where((eb) => eb("email", "=", eb.fn.any(eb.val(["x"])))), /other than/],
    [() => users.where((eb) => eb(eb.val("x"), "=", eb.ref("email"))), /expression/],
    [() => users.where("email", "in", posts.clearSelect().select("posts.email")), /other than/],
    [() => users.whereRef("email", "=", "plain"), /other than/],
    [() => users.where((eb) => eb(eb.refTuple("email", "id"), "=", eb.tuple("x", 1))), /expression/],
    [() => users.where(sql.ref("email"), "=", "x"), /expression/],
    [() => users.where("name_index", "like", "%"), /short/],
  ],
  output: [
    [() => db.selectFrom(db.selectFrom("users").select("email").as("u")).selectAll(), /nested/],
    [() => db.selectFrom("users").innerJoin("posts", "posts.author", "users.id").selectAll(), /not certain/],
    [() => db.selectFrom("users").innerJoin("posts", "posts.author", "users.id").select("users.email").selectAll("posts"), /selectAll/],
    [() => db.selectFrom("users").innerJoin("posts", "posts.author", "users.id").select(["users.email", "posts.email"]), /two columns/],
    [() => db.selectFrom("users").select(["email", sql<string>`1`.as("email")]), /two columns/],
    [() => db.selectFrom("users").select("email as e").orderBy("e"), /order/],
    [() => db.selectFrom("users").select("email as e").orderBy(sql`1`), /number/],
    [() => db.selectFrom("users").select("email as e").orderBy(sql.lit(1)), /number/],
    [() => db.selectFrom("users").select("email as e").orderBy(sql`1 desc`), /number/],
    [() => db.selectFrom("users").select("email as e").groupBy(sql`1`), /number/],
    [() => db.selectFrom("users").select((eb) => eb.fn("json_extract_path", ["email"]).as("e")), /expression/],
    [
      () =>
        db
          .with("i", (qb) => qb.insertInto("users").values({ email: "x" }).returning("email"))
          .selectFrom("i")
          .selectAll(),
      /nested/,
    ],
    [() => db.selectFrom("posts").select((eb) => jsonArrayFrom(eb.selectFrom("users").select("email")).as("all")), /nested/],
    [() => db.selectFrom("posts").select((eb) => eb.selectFrom("users").select("email").limit(1).as("e")), /nested/],
  ],
  column: [
    [() => users.where((eb) => eb.exists(eb.selectFrom("posts").select("posts.id").where("email", "=", "ada"))), /not certain/],
    [
      () => db.selectFrom("users").innerJoin("crm.accounts as a", "a.id", "users.id").select("users.id").where("email", "=", "x"),
      /not certain/,
    ],
    [() => db.selectFrom("users as u").select("u.id").where(sql.ref("U.email"), "=", "x"), /not certain|expression/],
    [() => users.where(sql.ref("EMAIL"), "=", "x"), /case alone/],
    [() => users.select(sql.ref("users").as("row")), /all columns|certain/],
    [() => users.where(sql.ref("old.email"), "=", "x"), /not certain/],
    [() => db.selectFrom(sql<Users>`posts`.as("p")).innerJoin("users", "users.id", "p.id").select("p.plain").orderBy("email"), /order/],
  ],
  table: [
    [() => users.select((eb) => eb.fn.toJson("users").as("all")), /all columns/],
    [() => users.select((eb) => eb.fn.jsonAgg("users").as("all")), /all columns/],
    [() => db.selectFrom("users as u").select((eb) => eb.fn.toJson("u").as("all")), /all columns/],
    [() => posts.where((eb) => eb.exists(sql`select 1 from ${sql.table("users")}`)), /all columns/],
  ],
  with: [
    [
      () =>
        db
          .with("users", (qb) => qb.selectFrom("posts").select(["id", "email"]))
          .selectFrom("users")
          .select("users.email"),
      /hides/,
    ],
    [
      () =>
        db
          .with("all", (qb) => qb.selectFrom("users").selectAll())
          .selectFrom("all")
          .selectAll(),
      /nested/,
    ],
  ],
  sql: [
    [() => sql`insert into ${sql.table("users")} (${sql.ref("email")}) values (${"x"})`, /sql template/],
    [() => sql`select ${sql.ref("users.id")} from users where ${sql.ref("users.email")} = ${"x"}`, /sql template/],
    [() => sql`update users set email = ${"x"}`, /table users/],
    [() => sql`update ${sql.id("users")} set email = ${"x"}`, /table users/],
    [() => sql`update ${sql.raw("USERS")} set email = ${"x"}`, /table users/],
    [() => sql`select * from (${db.selectFrom("users").selectAll()}) as all_users`, /sql template/],
    [() => users.where(sql<boolean>`email = ${"x"}`), /column email/],
    [() => users.where(sql<boolean>`users."email" = ${"x"}`), /column email/],
    [() => users.select(sql`email_index`.as("i")), /column email_index/],
    [() => users.select(sql`*`.as("i")), /all columns/],
    [() => users.select(sql`users`.as("i")), /table users/],
    [() => db.selectFrom("users as u").select(sql`row_to_json(u)`.as("i")), /table u/],
    [() => db.selectFrom("users as u").select(sql`row_to_json(u.*)`.as("i")), /table u|all columns/],
    [() => posts.where(sql<boolean>`author in (select id from users where email = ${"x"})`), /table users/],
    [() => sql`select * from U&"\\0075sers"`, /table users/],
    [() => aliased.orderBy(sql`address`), /address is encrypted/],
    [() => aliased.orderBy(sql`lower("address") desc`), /address is encrypted/],
    [() => aliased.groupBy(sql`address`), /address is encrypted/],
    [() => aliased.distinctOn(sql`address`), /address is encrypted/],
    [() => aliased.modifyEnd(sql`order by address`), /address is encrypted/],
    [() => aliased.modifyEnd(sql`order /* by */ by 1`), /modifier that orders/],
    [() => aliased.modifyEnd(sql`union select 'x'`), /modifier that orders/],
    [() => aliased.orderBy(sql`/* first */ 1`), /number/],
    [() => aliased.orderBy(sql`id, 1`), /number/],
    [() => aliased.groupBy(sql`-- first\n (1)`), /number/],
    [() => aliased.distinctOn(sql`1`), /number/],
  ],
  sources: [
    [() => db.selectFrom("posts").innerJoin("users", "users.email", "posts.email").select("users.id"), /other than/],
    [() => db.selectFrom(renamedUsers).select("u.email"), /alias of users/],
    [() => posts.innerJoin(renamedUsers, (join) => join.onTrue()), /alias of users/],
    [
      () =>
        db
          .selectFrom("posts")
          .innerJoin("users", (join) => join.on("users.name", "=", "ada"))
          .select("users.name"),
      /short/,
    ],
    [() => db.selectFrom(sql<Users>`users`.as("u")).selectAll(), /table users/],
    [() => other.selectFrom("accounts").selectAll(), /Name the table with its schema|may be/],
    [() => other.selectFrom("Users").selectAll(), /case alone/],
  ],
  and: [
    [
      () =>
        db
          .selectFrom("users")
          .select("name")
          .where((eb) => eb.selectFrom("users as b").select("b.email").$castTo<{ email: boolean }>()),
      /nested/,
    ],
  ],
  negation: [
    [() => users.select("name").where((eb) => eb.not(eb("name", "=", "ada"))), /short/],
    [() => users.select("name").where((eb) => eb.or([eb("name", "=", "ada"), eb("id", "=", 1)])), /short/],
    [() => users.select("name").where((eb) => eb(eb("name", "=", "ada"), "=", eb.lit(false))), /short/],
    [() => users.select("name").where((eb) => eb.exists(eb.selectFrom("users as b").select("b.id").where("b.name", "=", "ada"))), /short/],
    [() => db.selectFrom("users").select((eb) => eb.case().when("name", "=", "ada").then(1).else(0).end().as("b")), /short/],
    [() => db.selectFrom("users").select((eb) => eb.fn.countAll().filterWhere("name", "=", "ada").as("b")), /short/],
    [
      () =>
        db
          .selectFrom("users")
          .select((eb) => eb.fn.countAll().as("n"))
          .where("name", "=", "ada"),
      /short/,
    ],
    [() => db.selectFrom("users").select((eb) => eb.case("email").when("x").then(1).else(0).end().as("b")), /expression/],
    [() => users.groupBy("id").having("note", "=", "x"), /no index/],
  ],
  expressions: [
    [() => users.orderBy("email"), /order/],
    [() => users.groupBy("email"), /order/],
    [() => users.orderBy("name_index"), /short/],
    [() => users.select((eb) => eb.fn.max("email").as("m")), /expression/],
    [() => users.select((eb) => eb.fn("row_to_json(users)", []).as("m")), /function/],
    [() => users.select((eb) => eb.fn.count("email").distinct().as("m")), /expression/],
    [
      () =>
        users.select((eb) =>
          eb.fn
            .countAll()
            .over((over) => over.partitionBy("email"))
            .as("m"),
        ),
      /expression/,
    ],
    [() => users.select((eb) => eb.fn.coalesce("email", "plain").as("m")), /expression/],
    [() => users.select((eb) => eb.cast<string>("email", "text").as("m")), /expression/],
  ],
  values: [],
  merge: [
    [() => db.mergeInto("posts").using("users", "posts.email", "users.email").whenNotMatched().thenDoNothing(), /merge/],
    [() => db.mergeInto("users").using("posts", "posts.id", "users.id").whenMatched().thenUpdateSet({ email: "x" }), /merge/],
  ],
  schema: [
    [() => db.schema.createView("all_users").as(db.selectFrom("users").selectAll()), /schema/],
    [() => db.schema.createTable("copy").as(db.selectFrom("users").selectAll()), /schema/],
    [() => db.schema.alterTable("users").alterColumn("email", (column) => column.setDefault("x")), /users\.email.*default/],
    [() => db.schema.alterTable("users").addColumn("email", "text", (column) => column.defaultTo("x")), /users\.email.*default/],
    [
      () => db.schema.createTable("users").addColumn("note", "text", (column) => column.generatedAlwaysAs(sql`plain`)),
      /users\.note.*default/,
    ],
  ],
};

describe.each(RULES)("$name", ({ name }) => {
  test("has examples", () => {
    expect((SENT[name] ?? []).length + (REFUSED[name] ?? []).length).toBeGreaterThan(0);
  });
  for (const [query, sent] of SENT[name] ?? []) test(`sends ${sent}`, () => expect(statement(query())).toBe(sent));
  for (const [query, why] of REFUSED[name] ?? []) {
    test(`refuses ${String(query).slice("() => ".length, 160)}`, async () => {
      const error = await refusal(() => statement(query()));
      expect([error.code, `${error.message} ${error.hint}`]).toEqual(["invalid-argument", expect.stringMatching(why)]);
      expect(error.hint).toEqual(expect.any(String));
    });
  }
});

test("examples belong to rules", () => {
  const names = RULES.map(({ name }) => name);
  expect([...Object.keys(SENT), ...Object.keys(REFUSED)].filter((name) => !names.includes(name))).toEqual([]);
});

test("every kind of node that this Kysely has is in one rule", () => {
  const known = RULES.flatMap(({ kinds }) => Object.keys(kinds));
  expect(new Set(known).size).toBe(known.length);
  const exported = Object.keys(kysely).filter((name) => /^[A-Z]\w*Node$/.test(name) && !ALIASES.has(name));
  expect(exported.filter((name) => !known.includes(name))).toEqual([]);
});

test("a kind or a part of a node that is not known is refused, and passed where nothing is encrypted", async () => {
  const plugin = encryptedColumns<Database>({ users: columns });
  const queryId = { queryId: "1" };
  const transform = (query: typeof users | typeof posts, extra: object) => {
    const node = { ...query.toOperationNode(), ...extra };
    return Reflect.apply(plugin.transformQuery, plugin, [{ node, queryId }]);
  };
  const raw = users.toOperationNode();
  expect(Reflect.get(Object(raw), "kind")).toBe("SelectQueryNode");
  for (const extra of [
    { qualify: { kind: "WhereNode" } },
    { where: { kind: "QualifyNode", node: {} } },
    { limit: { kind: "LimitNode", limit: 5 } },
  ]) {
    expect((await refusal(() => transform(users, extra))).message).toMatch(/not known/);
    expect(transform(posts, extra)).toMatchObject(extra);
  }
});

test("the table of docs/recipes/kysely.md is that of the rules", () => {
  const rows = RULES.map(({ says, handling, kinds }) => [says, handling, Object.keys(kinds).join(", ")]);
  expect(readFileSync(join(ROOT, "docs/recipes/kysely.md"), "utf8")).toContain(
    rulesTable(["In a query", "Handling", "Kysely's nodes"], rows),
  );
});

function statement(query: Compilable | { compile(executor: typeof db): { sql: string } }): string {
  const compiled: { sql: string; parameters?: readonly unknown[] } = Reflect.apply(query.compile, query, [db]);
  const parameters = compiled.parameters ?? [];
  return compiled.sql.replaceAll('"', "").replace(/\$(\d+)/g, (_, place) => String(parameters[Number(place) - 1]));
}

/** What is called a node and is none: an older name of another, and functions for several. */
const ALIASES: ReadonlySet<string> = new Set(["PrimaryConstraintNode", "QueryNode"]);

test("columns in a Map or a list are refused: no column would be encrypted", async () => {
  for (const tables of [
    new Map([["users", columns]]),
    [columns],
    { users: new Map(Object.entries(columns)) },
    { users: [] },
    { users: null },
  ])
    expect(await refusalCode(() => encryptedColumns<Database>(untyped(tables)))).toBe("invalid-argument");
});
