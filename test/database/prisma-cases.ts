import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { OPERATION_RULES, ruleOf } from "../../src/integrations/prisma/rules.ts";
import { encryptedFields } from "../../src/integrations/prisma.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { type TestCiphers, testCiphers } from "./field-ciphers.ts";
import { type GeneratedClient, prismaClient } from "./prisma-client.ts";

/** The tests of `envelock/prisma`, on the server that `open` names. */
export function prismaCases(open: () => Promise<string>): void {
  let ciphers: TestCiphers;
  let current: TestCiphers;
  let generated: GeneratedClient;
  let plain: GeneratedClient["client"];
  let prisma: typeof plain;

  beforeAll(async () => {
    ciphers = await testCiphers("acme");
    current = ciphers;
    const url = await open();
    const client = new Client({ connectionString: url });
    await client.connect();
    await client.query(TABLES);
    await client.end();
    generated = await prismaClient(MODELS, url);
    plain = generated.client;
    prisma = plain.$extends(
      encryptedFields({
        User: {
          email: { cipher: () => current.email, indexColumn: "emailIndex" },
          note: () => current.note,
        },
        Post: { title: () => current.title },
      }),
    );
    await prisma.user.create({ data: { email: "ada@example.org", note: "first", posts: { create: [{ title: "Notes" }] } } });
    await prisma.user.createMany({ data: [{ email: "grace@example.org" }, { email: "alan@example.org", note: null }] });
  });

  afterAll(() => generated.close());

  test("records come back as they went in, and hold tokens and indexes", async () => {
    const users = await prisma.user.findMany({ orderBy: { id: "asc" }, include: { posts: true } });
    expect(users).toMatchObject([
      { email: "ada@example.org", note: "first", posts: [{ title: "Notes" }] },
      { email: "grace@example.org", note: null, posts: [] },
      { email: "alan@example.org", note: null },
    ]);
    const stored = await plain.user.findMany({ orderBy: { id: "asc" }, include: { posts: true } });
    for (const [at, { email, emailIndex }] of stored.entries()) {
      expect([ciphers.email.decrypt(email), emailIndex]).toEqual([users[at].email, ciphers.email.blindIndex(users[at].email)]);
    }
    expect(ciphers.title.decrypt(stored[0].posts[0].title)).toBe("Notes");
  });

  test("a record is found by its value, by way of the index", async () => {
    expect(await prisma.user.findFirst({ where: { email: "grace@example.org" }, select: { email: true } })).toEqual({
      email: "grace@example.org",
    });
    expect(await prisma.user.count({ where: { email: { in: ["grace@example.org", "alan@example.org", "nobody"] } } })).toBe(2);
    expect(await prisma.user.count({ where: { OR: [{ email: { equals: "ada@example.org" } }, { id: 3 }], AND: { id: { gt: 0 } } } })).toBe(
      2,
    );
    expect(await prisma.user.count({ where: { email: "ada@example.org", AND: [{ id: { gt: 1 } }] } })).toBe(0);
    expect(await prisma.user.count({ where: { NOT: { email: "ada@example.org" } } })).toBe(2);
    const emailIndex = ciphers.email.blindIndex("ada@example.org");
    expect(await prisma.user.findUniqueOrThrow({ where: { emailIndex } })).toMatchObject({ email: "ada@example.org" });
  });

  test("relations: filters, selections and counts by way of them", async () => {
    const posts = await prisma.post.findMany({
      where: { author: { email: "ada@example.org" } },
      select: { author: { select: { email: true } } },
    });
    expect(posts).toEqual([{ author: { email: "ada@example.org" } }]);
    expect(await prisma.post.count({ where: { author: { is: { email: "grace@example.org" } } } })).toBe(0);
    const [user] = await prisma.user.findMany({
      where: { posts: { some: { author: { email: "ada@example.org" } } } },
      select: { _count: { select: { posts: { where: { title: { not: null } } } } } },
    });
    expect(user).toEqual({ _count: { posts: 1 } });
  });

  test("null can be looked for", async () => {
    expect(await prisma.user.count({ where: { note: null } })).toBe(2);
    expect(await prisma.user.count({ where: { note: { not: null } } })).toBe(1);
  });

  test("a second record with the value is refused by the unique index", async () => {
    await expect(prisma.user.create({ data: { email: "ada@example.org" } })).rejects.toMatchObject({ code: "P2002" });
  });

  test("updates and upserts, nested ones too, keep token and index together", async () => {
    const renamed = await prisma.user.update({ where: { id: 1 }, data: { email: { set: "ada@example.com" }, note: { set: null } } });
    expect(renamed).toMatchObject({ email: "ada@example.com", note: null, emailIndex: ciphers.email.blindIndex("ada@example.com") });
    const upsert = { where: { id: 1 }, create: { email: "ada@example.org" }, update: { email: "ada@example.org", note: "again" } };
    expect(await prisma.user.upsert(upsert)).toMatchObject({ email: "ada@example.org", note: "again" });
    expect(await prisma.user.updateMany({ where: { email: { in: ["alan@example.org"] } }, data: { note: "third" } })).toEqual({ count: 1 });
    const returned = await prisma.user.updateManyAndReturn({
      where: { note: { not: null } },
      data: { note: "both" },
      select: { note: true },
    });
    expect(returned).toEqual([{ note: "both" }, { note: "both" }]);

    const nested = await prisma.user.update({
      where: { id: 1 },
      data: {
        posts: {
          create: { title: "Two" },
          createMany: { data: [{ title: "Three" }, { title: null }] },
          connectOrCreate: { where: { id: 99 }, create: { title: "Four" } },
          update: { where: { id: 1 }, data: { title: "One" } },
          updateMany: { where: { title: null, id: { gt: 1 } }, data: { title: "Five" } },
          upsert: { where: { id: 98 }, create: { title: "Six" }, update: { title: "not this" } },
        },
      },
      include: { posts: { orderBy: { id: "asc" } } },
    });
    expect(nested.posts.map(({ title }: { title: string }) => title).sort()).toEqual(["Five", "Four", "One", "Six", "Three", "Two"]);
    for (const { title } of await plain.post.findMany()) expect(ciphers.title.decrypt(title)).toMatch(/^[A-Z]/);

    const post = await prisma.post.update({
      where: { id: 1 },
      data: { author: { update: { email: "ada@example.net" } } },
      include: { author: true },
    });
    expect(post.author.email).toBe("ada@example.net");
    await prisma.post.update({
      where: { id: 1 },
      data: { author: { update: { where: { email: "ada@example.net" }, data: { email: "ada@example.org" } } } },
    });
    expect(await prisma.user.delete({ where: { id: 1 } })).toMatchObject({ email: "ada@example.org" });
  });

  test("transactions encrypt too", async () => {
    const [created] = await prisma.$transaction([prisma.user.create({ data: { email: "kurt@example.org" } })]);
    expect(created.email).toBe("kurt@example.org");
    await prisma.$transaction(async (inner: typeof prisma) => {
      await inner.user.delete({ where: { id: created.id } });
      expect(await inner.user.count({ where: { email: "kurt@example.org" } })).toBe(0);
    });
    const undone = prisma.$transaction(async (inner: typeof prisma) => {
      await inner.user.create({ data: { email: "kurt@example.org" } });
      expect(await inner.user.findFirst({ where: { email: "kurt@example.org" } })).toMatchObject({ email: "kurt@example.org" });
      throw new RangeError("rolled back");
    });
    await expect(undone).rejects.toThrow("rolled back");
    expect(await prisma.user.count({ where: { email: "kurt@example.org" } })).toBe(0);
  });

  describe("never an answer without rows, and nothing is sent: refused is", () => {
    test.each<[string, () => Promise<unknown>]>([
      ["a filter without an index", () => prisma.user.findMany({ where: { note: "first" } })],
      ["a search", () => prisma.user.findMany({ where: { email: { contains: "ada" } } })],
      ["a filter for other values", () => prisma.user.findMany({ where: { email: { not: "ada@example.org" } } })],
      ["a filter that ignores case", () => prisma.user.findMany({ where: { email: { equals: "ADA@example.org", mode: "insensitive" } } })],
      ["a filter in an OR", () => prisma.user.findMany({ where: { OR: [{ id: 1 }, { note: "first" }] } })],
      ["a filter of a relation", () => prisma.user.findMany({ where: { posts: { some: { title: "Notes" } } } })],
      ["a filter of what is included", () => prisma.user.findMany({ include: { posts: { where: { title: "Notes" } } } })],
      ["an update by the value", () => prisma.user.updateMany({ where: { note: "first" }, data: { note: "second" } })],
      ["a delete by the value", () => prisma.user.deleteMany({ where: { note: "first" } })],
      ["a nested delete by the value", () => prisma.user.update({ where: { id: 1 }, data: { posts: { deleteMany: { title: "Notes" } } } })],
      ["an order", () => prisma.user.findMany({ orderBy: { email: "asc" } })],
      ["an order by way of a relation", () => prisma.post.findMany({ orderBy: [{ author: { email: "asc" } }] })],
      ["a distinct", () => prisma.user.findMany({ distinct: ["email"] })],
      ["a group", () => prisma.user.groupBy({ by: ["note"] })],
      ["a condition on groups", () => prisma.user.groupBy({ by: ["id"], having: { note: { equals: "first" } } })],
      ["a minimum", () => prisma.user.aggregate({ _min: { email: true } })],
      ["a cursor", () => prisma.user.findMany({ cursor: { id: 1, note: "first" } })],
      ["a value of another type", () => prisma.user.create({ data: { email: 5 } })],
      ["a write to the index", () => prisma.user.create({ data: { email: "x", emailIndex: "x" } })],
      ["a value that is a token already", () => prisma.user.create({ data: { email: ciphers.email.encrypt("x") } })],
    ])("%s", async (_, query) => {
      expect((await refusal(query)).code).toBe("invalid-argument");
    });
  });

  test("the fluent API decrypts the records that it gives", async () => {
    const { id } = await prisma.user.create({ data: { email: "fluent@example.org", posts: { create: { title: "Fluent" } } } });
    const posts = await prisma.user.findUnique({ where: { id } }).posts();
    expect(posts).toMatchObject([{ title: "Fluent" }]);
    const only = { where: { id: posts[0].id } };
    expect(await prisma.post.findUnique(only).author()).toMatchObject({ email: "fluent@example.org" });
    expect(await prisma.post.findFirst(only).author({ select: { email: true } })).toEqual({ email: "fluent@example.org" });
    expect(await prisma.post.findUnique(only).author().posts()).toMatchObject([{ title: "Fluent" }]);
    await prisma.post.deleteMany({ where: { authorId: id } });
    await prisma.user.delete({ where: { id } });
  });

  test("what this client offers is in the rules: its operations, and the arguments of each", () => {
    const offered = Object.keys(plain.user).filter((name) => typeof plain.user[name] === "function");
    expect(offered.filter((operation) => ruleOf(operation) === undefined)).toEqual([]);
    const types = generated.typesOf("User");
    const told = [...types.matchAll(/export type User(\w+?)Args<[^{]*= \{\n([\s\S]*?)\n\}/g)].flatMap(([, name = "", body = ""]) =>
      [...body.matchAll(/^ {2}(\w+)\??:/gm)].map(([, argument = ""]) => [name.charAt(0).toLowerCase() + name.slice(1), argument] as const),
    );
    const checked = told.filter(([operation]) => ruleOf(operation) !== undefined);
    expect(new Set(checked.map(([operation]) => operation)).size).toBeGreaterThan(12);
    expect(checked.filter(([operation, argument]) => !Object.hasOwn(ruleOf(operation)?.takes ?? {}, argument))).toEqual([]);
    expect(OPERATION_RULES.length).toBeGreaterThan(10);
  });

  test("SQL is sent where it names no encrypted table, and refused where it does or cannot be seen", async () => {
    expect(await prisma.$queryRaw`select ${"x"}::text as one`).toEqual([{ one: "x" }]);
    expect(await prisma.$executeRawUnsafe("select 1 from (select 1) as users")).toBe(1);
    for (const query of [
      () => prisma.$queryRaw`select * from prisma_users`,
      () => prisma.$executeRaw`insert into "prisma_users" (email) values (${"plain@example.org"})`,
      () => prisma.$queryRawUnsafe("select * from PRISMA_POSTS"),
      () => prisma.$executeRawUnsafe("update prisma_users set email = $1", "plain@example.org"),
    ]) {
      expect(await refusalCode(query)).toBe("invalid-argument");
    }
  });

  test("by a short index only the wanted records come back, and nothing else is done by it", async () => {
    const open = plain.$extends(encryptedFields({ Shared: { email: { cipher: ciphers.shortEmail, indexColumn: "emailIndex" } } }));
    await open.shared.createMany({ data: Array.from({ length: 40 }, (_, at) => ({ email: `user${at}@example.org` })) });
    expect(await open.shared.findMany({ where: { email: "USER7@example.org" } })).toMatchObject([{ id: 8, email: "user7@example.org" }]);
    for (const query of [
      () => open.shared.deleteMany({ where: { email: "user7@example.org" } }),
      () => open.shared.findFirst({ where: { email: "user7@example.org" } }),
      () => open.shared.count({ where: { NOT: { email: "user7@example.org" } } }),
    ]) {
      expect(await refusalCode(query)).toBe("invalid-argument");
    }
    expect(await plain.shared.count()).toBe(40);
    await plain.shared.deleteMany();
  });

  test("while a field is being encrypted both are read, and no record is overlooked", async () => {
    const plaintexts: unknown[] = [];
    const open = (indexFilled: boolean): typeof plain =>
      plain.$extends(
        encryptedFields(
          { Shared: { email: { cipher: ciphers.migratingEmail, indexColumn: "emailIndex", indexFilled } } },
          { onPlaintext: (place) => plaintexts.push(place) },
        ),
      );
    const { id } = await plain.shared.create({ data: { email: "legacy@example.org" } });
    const [before, after] = [open(false), open(true)];
    expect(await before.shared.findMany()).toMatchObject([{ email: "legacy@example.org" }]);
    expect(plaintexts).toEqual([{ table: "Shared", column: "email", row: 1 }]);
    expect(await refusalCode(() => before.shared.findFirst({ where: { email: "legacy@example.org" } }))).toBe("invalid-argument");
    expect(await refusalCode(() => before.shared.create({ data: { email: "legacy@example.org" } }))).toBe("invalid-argument");
    await plain.shared.update({ where: { id }, data: { emailIndex: ciphers.migratingEmail.blindIndex("legacy@example.org") } });
    expect(await after.shared.findFirst({ where: { email: "legacy@example.org" } })).toMatchObject({ id, email: "legacy@example.org" });
  });

  test("where every record has its index, those of before are found while a field is being encrypted, and none can be doubled", async () => {
    const moving = plain.$extends(
      encryptedFields({ User: { email: { cipher: ciphers.migratingEmail, indexColumn: "emailIndex", indexFilled: true } } }),
    );
    const [legacy, fresh] = ["legacy@example.org", "fresh@example.org"];
    const { id } = await plain.user.create({ data: { email: legacy, emailIndex: ciphers.migratingEmail.blindIndex(legacy) } });
    const { id: second } = await moving.user.create({ data: { email: fresh } });
    try {
      expect(await moving.user.findFirst({ where: { email: legacy } })).toMatchObject({ id, email: legacy });
      expect(await moving.user.count({ where: { email: { in: [legacy, fresh] } } })).toBe(2);
      for (const email of [legacy, fresh]) await expect(moving.user.create({ data: { email } })).rejects.toMatchObject({ code: "P2002" });
      await expect(moving.user.update({ where: { id: second }, data: { email: legacy } })).rejects.toMatchObject({ code: "P2002" });
    } finally {
      await plain.user.deleteMany({ where: { id: { in: [id, second] } } });
    }
  });

  test("another tenant's cipher opens nothing", async () => {
    current = await testCiphers("globex");
    try {
      expect(await refusalCode(() => prisma.user.findMany())).toBe("authentication-failed");
    } finally {
      current = ciphers;
    }
  });

  test("text that is no token is refused", async () => {
    await plain.user.updateMany({ data: { note: "plain" } });
    expect(await refusalCode(() => prisma.user.findMany())).toBe("malformed-envelope");
  });

  test.each([
    ["a model that the schema lacks", { Account: { email: () => ciphers.email } }],
    ["a field that it lacks", { User: { phone: () => ciphers.email } }],
    ["a field that is no text", { User: { id: () => ciphers.email } }],
    [
      "an option of a field that is not known",
      { User: { email: { ...{ indexcolumn: "emailIndex" }, cipher: () => ciphers.email, indexColumn: "emailIndex" } } },
    ],
    ["an index that it lacks", { User: { email: { cipher: () => ciphers.email, indexColumn: "none" } } }],
  ])("%s is refused when the client is extended", async (_, models) => {
    expect(await refusalCode(() => plain.$extends(encryptedFields(models)))).toBe("invalid-argument");
  });
}

const MODELS = `
model User {
  id         Int     @id @default(autoincrement())
  email      String
  emailIndex String  @unique @default("")
  note       String?
  posts      Post[]
  @@map("prisma_users")
}

model Shared {
  id         Int     @id @default(autoincrement())
  email      String
  emailIndex String?
  @@map("prisma_shared")
}

model Post {
  id       Int     @id @default(autoincrement())
  title    String?
  authorId Int?
  author   User?   @relation(fields: [authorId], references: [id])
  @@map("prisma_posts")
}
`;
const TABLES = `
create table prisma_users (id serial primary key, email text not null, "emailIndex" text not null unique, note text);
create table prisma_shared (id serial primary key, email text not null, "emailIndex" text);
create table prisma_posts (id serial primary key, title text, "authorId" int references prisma_users on delete set null);
`;
