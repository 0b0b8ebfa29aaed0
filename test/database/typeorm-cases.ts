import { DataSource, EntitySchema, Equal, In, IsNull, Like, MoreThan, Not, QueryFailedError } from "typeorm";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encrypted, indexIn, isToken } from "../../src/integrations/typeorm.ts";
import { refusalCode } from "../support/refusal.ts";
import { expectRows } from "../support/rules-table.ts";
import { type TestCiphers, testCiphers } from "./field-ciphers.ts";

interface User {
  id: number;
  email: string;
  emailIndex: string;
  age: number | null;
  posts?: Post[];
}

interface GuardedUser {
  id: number;
  email: string;
  readonly emailIndex: string;
  copied: string | null;
}

interface Post {
  id: number;
  title: string | null;
  author?: User;
}

/** The tests of `envelock/typeorm`, on the server that `open` names. */
export function typeormCases(open: () => Promise<string>): void {
  let source: DataSource;
  let ciphers: TestCiphers;
  let current: TestCiphers;
  const Users = new EntitySchema<User>({
    name: "User",
    tableName: "typeorm_users",
    columns: {
      id: { type: "int", primary: true, generated: "increment" },
      email: encrypted(() => current.email),
      emailIndex: { type: "text", unique: true },
      age: { ...encrypted(() => current.age), nullable: true },
    },
    relations: { posts: { type: "one-to-many", target: "Post", inverseSide: "author", cascade: true } },
  });
  const Posts = new EntitySchema<Post>({
    name: "Post",
    tableName: "typeorm_posts",
    columns: {
      id: { type: "int", primary: true, generated: "increment" },
      title: { ...encrypted(() => current.title), nullable: true },
    },
    relations: { author: { type: "many-to-one", target: "User", inverseSide: "posts" } },
  });
  const Guarded = new EntitySchema<GuardedUser>({
    name: "GuardedUser",
    tableName: "typeorm_guarded",
    columns: {
      id: { type: "int", primary: true, generated: "increment" },
      email: encrypted(() => current.email, { indexed: true }),
      emailIndex: { ...indexIn("email"), unique: true },
      copied: { type: "json", nullable: true },
    },
    checks: [{ expression: isToken("email") }],
  });
  const Moving = new EntitySchema<{ id: number; email: string | null }>({
    name: "Moving",
    tableName: "typeorm_moving",
    columns: {
      id: { type: "int", primary: true, generated: "increment" },
      email: { ...encrypted(() => ciphers.migratingEmail), nullable: true },
    },
  });
  const user = (email: string, age: number | null): Omit<User, "id"> => ({ email, emailIndex: current.email.blindIndex(email), age });

  beforeAll(async () => {
    ciphers = await testCiphers("acme");
    current = ciphers;
    const url = await open();
    source = new DataSource({ type: "postgres", url, entities: [Users, Posts, Guarded, Moving], synchronize: true, poolSize: 1 });
    await source.initialize();
    const users = source.getRepository(Users);
    await users.save([
      { ...user("ada@example.org", 36), posts: [{ title: "Notes" }] },
      user("grace@example.org", null),
      user("alan@example.org", 41),
    ]);
  });
  afterAll(() => source.destroy());

  test("entities come back as they went in, and their rows hold tokens", async () => {
    const found = await source.getRepository(Users).find({ order: { id: "asc" }, relations: { posts: true } });
    expect(found).toMatchObject([
      { email: "ada@example.org", age: 36, posts: [{ title: "Notes" }] },
      { email: "grace@example.org", age: null, posts: [] },
      { email: "alan@example.org", age: 41, posts: [] },
    ]);
    const stored: readonly { email: string; age: string | null }[] = await source.query("select email, age from typeorm_users order by id");
    expect(stored.map(({ email }) => ciphers.email.decrypt(email))).toEqual(found.map(({ email }) => email));
    expect(stored.map(({ age }) => age === null)).toEqual([false, true, false]);
  });

  test("an entity is found by the blind index of its value", async () => {
    const emailIndex = ciphers.email.blindIndex("grace@example.org");
    expect(await source.getRepository(Users).findOneByOrFail({ emailIndex })).toMatchObject({ id: 2, email: "grace@example.org" });
    expect(await source.getRepository(Users).countBy({ age: IsNull() })).toBe(1);
    expect(await source.getRepository(Users).countBy({ age: Not(IsNull()) })).toBe(2);
  });

  test("what did not change is not written again", async () => {
    const users = source.getRepository(Users);
    const stored = (): Promise<unknown> => source.query("select email, age from typeorm_users where id = 1");
    const before = await stored();
    const ada = await users.findOneByOrFail({ id: 1 });
    await users.save(ada);
    await users.save({ id: 1, email: "ada@example.org", age: 36 });
    expect(await stored()).toEqual(before);
    await users.save({ id: 1, age: 37 });
    expect(await stored()).toMatchObject([{ email: Reflect.get(Object(before), 0).email }]);
    expect((await users.findOneByOrFail({ id: 1 })).age).toBe(37);
  });

  test("update, upsert and the query builder encrypt; null clears", async () => {
    const users = source.getRepository(Users);
    await users.update({ id: 3 }, { age: null });
    await users.upsert({ ...user("ada@example.org", 38) }, ["emailIndex"]);
    await source.createQueryBuilder().update(Users).set({ age: 43 }).where("id = 2").execute();
    const found = await users.createQueryBuilder("u").select(["u.id", "u.age"]).orderBy("u.id").getMany();
    expect(found.map(({ age }) => age)).toEqual([38, 43, null]);
  });

  describe("never an answer without rows: it is an error to", () => {
    const filters: readonly [string, () => Promise<unknown>][] = [
      ["find by the value", () => source.getRepository(Users).findBy({ email: "ada@example.org" })],
      ["find one by the value", () => source.getRepository(Users).findOneBy({ email: Equal("ada@example.org") })],
      ["find by a list", () => source.getRepository(Users).findBy({ email: In(["ada@example.org"]) })],
      ["find by a pattern", () => source.getRepository(Users).findBy({ email: Like("ada%") })],
      ["find by size", () => source.getRepository(Users).findBy({ age: MoreThan(40) })],
      ["find other values", () => source.getRepository(Users).findBy({ email: Not("ada@example.org") })],
      ["find by way of a relation", () => source.getRepository(Posts).findBy({ author: { email: "ada@example.org" } })],
      ["sort", () => source.getRepository(Users).find({ order: { email: "asc" } })],
      ["update by the value", () => source.getRepository(Users).update({ email: "ada@example.org" }, { age: 1 })],
      ["delete by the value", () => source.getRepository(Users).delete({ email: "ada@example.org" })],
      [
        "compare in written SQL",
        () => source.getRepository(Users).createQueryBuilder("u").where("u.email = :email", { email: "x" }).getMany(),
      ],
    ];
    test("the page lists them", () => expectRows("docs/recipes/typeorm.md", filters, "the database: json has no operator for it"));
    test.each(filters)("%s", async (_, query) => {
      await expect(query()).rejects.toThrow(QueryFailedError);
      await expect(query()).rejects.toThrow(/operator.*json|json.*operator/);
    });
  });

  test("an index that stands in the column follows it, and plaintext is kept out", async () => {
    const users = source.getRepository(Guarded);
    const found = (address: string) => users.findOneBy({ emailIndex: ciphers.email.blindIndex(address) });
    await users.save([
      { email: "ada@example.org", copied: "ada@example.org" },
      { email: "grace@example.org", copied: null },
    ]);
    expect(await found("ada@example.org")).toMatchObject({ id: 1, email: "ada@example.org" });
    await users.update({ id: 1 }, { email: "ada@example.com" });
    expect([await found("ada@example.org"), await found("ada@example.com")]).toMatchObject([null, { id: 1 }]);
    const grace = await users.findOneByOrFail({ id: 2 });
    const stored = () =>
      source.query('select email::text, email_index from (select email, "emailIndex" as email_index from typeorm_guarded) as t');
    const before = await stored();
    await users.save(grace);
    expect(await stored()).toEqual(before);
    await users.save({ ...grace, email: "hopper@example.org" });
    expect([await found("grace@example.org"), await found("hopper@example.org")]).toMatchObject([null, { id: 2 }]);
    await expect(users.insert({ email: "hopper@example.org" })).rejects.toMatchObject({ code: "23505" });
    await expect(users.update({ id: 1 }, { email: () => "copied" })).rejects.toMatchObject({ code: "23514" });
    await expect(users.findBy({ email: "hopper@example.org" })).rejects.toThrow(QueryFailedError);
    expect(await refusalCode(() => Reflect.apply(encrypted, undefined, [ciphers.email, { index: true }]))).toBe("invalid-argument");
  });

  test("synchronize does not make the table anew on the next start", async () => {
    await source.synchronize();
    expect(await source.getRepository(Guarded).count()).toBe(2);
  });

  test("a column of text becomes one of json by the migration of the page, with all its values", async () => {
    await source.query(
      "drop table typeorm_moving; create table typeorm_moving (id serial primary key, email text); insert into typeorm_moving (email) values ('legacy@example.org')",
    );
    await source.query("alter table typeorm_moving alter column email type json using to_json(email)");
    const rows = source.getRepository(Moving);
    await rows.save({ email: "new@example.org" });
    expect((await rows.find({ order: { id: "asc" } })).map(({ email }) => email)).toEqual(["legacy@example.org", "new@example.org"]);
  });

  test("another tenant's cipher opens nothing", async () => {
    current = await testCiphers("globex");
    try {
      expect(await refusalCode(() => source.getRepository(Users).find())).toBe("authentication-failed");
    } finally {
      current = ciphers;
    }
  });

  test("text that is no token is refused", async () => {
    await source.query(`update typeorm_posts set title = '"Notes"'`);
    expect(await refusalCode(() => source.getRepository(Posts).find())).toBe("malformed-envelope");
  });
}
