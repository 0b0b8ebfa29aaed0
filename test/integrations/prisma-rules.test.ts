import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { rewrittenArguments } from "../../src/integrations/prisma/arguments.ts";
import { isRecord, modelCalled, modelsOf } from "../../src/integrations/prisma/models.ts";
import { decryptedResult } from "../../src/integrations/prisma/results.ts";
import { type ArgumentRole, NESTED_WRITES, OPERATION_RULES, ruleOf } from "../../src/integrations/prisma/rules.ts";
import { ROOT } from "../docs/code-blocks.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { rulesTable } from "../support/rules-table.ts";
import { untyped } from "../support/untyped.ts";

/** Shows what it did: `~ada` is the token, `#ada` the unique index, `%a` the short one of `ada`. */
const cipher = { encrypt: (value: string) => `~${value}`, decrypt: (token: string) => token.slice(1) };
const unique = {
  ...cipher,
  blindIndex: (value: string) => `#${value}`,
  blindIndexAll: (value: string) => [`#${value}`],
  hasUniqueIndex: true,
};
const short = { ...cipher, blindIndex: (value: string) => `%${value[0]}`, blindIndexAll: (value: string) => [`%${value[0]}`] };

const field = (name: string, type = "String", kind = "scalar") => ({ name, type, kind });
const SCHEMA = {
  User: {
    fields: [
      ...["email", "emailIndex", "name", "nameIndex", "note", "plain"].map((name) => field(name)),
      ...[field("id", "Int"), field("posts", "Post", "object"), field("profile", "Profile", "object")],
    ],
  },
  Post: { fields: [field("id", "Int"), field("title"), field("data", "Json"), field("author", "User", "object")] },
  Profile: { fields: [field("id", "Int"), field("bio"), field("where"), field("data"), field("is"), field("user", "User", "object")] },
};
const models = modelsOf(
  { _runtimeDataModel: { models: SCHEMA } },
  {
    User: { email: { cipher: unique, indexColumn: "emailIndex" }, name: { cipher: short, indexColumn: "nameIndex" }, note: cipher },
    Post: { title: cipher },
    Profile: { bio: cipher },
  },
);

class FieldReference {
  readonly modelName = "User";
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

function sent(operation: string, args: object, model = "User"): object {
  const rule = ruleOf(operation);
  if (rule === undefined) throw new Error(`no rule for ${operation}`);
  return rewrittenArguments(models, modelCalled(models, model), rule, args).args;
}

const OPERATIONS = OPERATION_RULES.flatMap(({ operations, takes }) =>
  operations.map((operation): [string, Readonly<Record<string, ArgumentRole>>] => [operation, takes]),
).filter(([, takes]) => Object.keys(takes).length > 0);

describe.each(OPERATIONS)("%s", (operation, takes) => {
  const named = Object.entries(takes);
  const refused = async (args: object): Promise<void> => {
    expect(await refusal(() => sent(operation, args))).toMatchObject({ code: "invalid-argument", hint: expect.any(String) });
  };

  test("an argument that is not known is refused, and a prototype in a body", async () => {
    await refused({ returning: {} });
    await refused(JSON.parse('{"__proto__":{"where":{}}}'));
  });

  test.each(
    named.filter(([, role]) => role === "where"),
  )("%s: compares by the index, and by a short one where nothing else is hit", async (name) => {
    expect(sent(operation, { [name]: { email: "ada", plain: "x" } })).toEqual({
      [name]: { plain: "x", AND: [{ emailIndex: { in: ["#ada"] } }] },
    });
    expect(sent(operation, { [name]: { NOT: { email: { in: ["ada", "bob"] } } } })).toEqual({
      [name]: { NOT: { AND: [{ emailIndex: { in: ["#ada", "#bob"] } }] } },
    });
    expect(sent(operation, { [name]: { note: null, email: { not: null } } })).toEqual({ [name]: { note: null, email: { not: null } } });
    expect(sent(operation, { [name]: { id_plain: { id: 1, plain: "x" } } })).toEqual({ [name]: { id_plain: { id: 1, plain: "x" } } });
    for (const where of [
      ...[
        { note: "x" },
        { email: { contains: "x" } },
        { email: { not: "x" } },
        { email: { equals: "x", mode: "insensitive" } },
        { OR: [{ note: "x" }] },
      ],
      ...[
        { plain: { equals: new FieldReference("email") } },
        { plain: { not: new FieldReference("emailIndex") } },
        { emailIndex: { startsWith: "" } },
      ],
      ...[{ posts: { some: { title: "x" } } }, { unknown: "x" }, { unknown: { email: "x" } }, { id_note: { id: 1, note: "x" } }],
      ...[
        '{"__proto__":{"email":{"contains":"n"}}}',
        '{"posts":{"some":{"__proto__":{"title":"n"}}}}',
        '{"AND":[{"__proto__":{"emailIndex":"n"}}]}',
      ].map((body) => JSON.parse(body)),
      ...['{"__proto__":{"plain":"x"}}', '{"plain":{"__proto__":{"contains":"n"}}}'].map((body) => JSON.parse(body)),
      ...[{ NOT: { name: "ada" } }, { OR: [{ name: "ada" }] }, { posts: { some: { author: { name: "ada" } } } }],
    ]) {
      await refused({ [name]: where });
    }
    const isDropped = operation === "findMany" && name === "where";
    if (isDropped) expect(sent(operation, { where: { name: "ada" } })).toEqual({ where: { AND: [{ nameIndex: { in: ["%a"] } }] } });
    else for (const where of [{ name: "ada" }, { nameIndex: "%a" }]) await refused({ [name]: where });
  });

  test.each(named.filter(([, role]) => role === "data"))("%s: values become tokens and indexes, at any depth", async (name) => {
    const data = { email: "ada", note: { set: "n" }, plain: "x", posts: { create: [{ title: "t", data: { title: "json" } }] } };
    const tokens = {
      email: "~ada",
      emailIndex: "#ada",
      note: { set: "~n" },
      plain: "x",
      posts: { create: [{ title: "~t", data: { title: "json" } }] },
    };
    expect(sent(operation, { [name]: data })).toEqual({ [name]: tokens });
    expect(sent(operation, { [name]: [{ email: null }] })).toEqual({ [name]: [{ email: null, emailIndex: null }] });
    for (const bad of [
      ...[{ emailIndex: "x" }, { email: 5 }, { email: { append: "x" } }, { unknown: "x" }, { posts: { replace: { title: "x" } } }],
      ...[
        '{"plain":"x","__proto__":{"email":"plain"}}',
        '{"posts":{"__proto__":{"create":{"title":"x"}}}}',
        '{"posts":{"create":{"__proto__":{"title":"x"}}}}',
      ].map((body) => JSON.parse(body)),
    ]) {
      await refused({ [name]: bad });
    }
  });

  test.each(named.filter(([, role]) => role === "selection"))("%s: relations are read as they are by themselves", async (name) => {
    const posts = { where: { author: { email: "ada" } }, take: 1 };
    expect(sent(operation, { [name]: { posts, _count: { select: { posts: { where: { id: 1 } } } } } })).toEqual({
      [name]: {
        posts: { where: { author: { AND: [{ emailIndex: { in: ["#ada"] } }] } }, take: 1 },
        _count: { select: { posts: { where: { id: 1 } } } },
      },
    });
    for (const bad of [
      ...[
        { posts: { where: { title: "x" } } },
        { posts: { orderBy: { title: "asc" } } },
        { posts: { distinct: ["title"] } },
        { posts: { unknown: 1 } },
      ],
      ...[{ posts: { where: { author: { name: "ada" } } } }, { _count: { select: { posts: { where: { title: "x" } } } } }, { unknown: {} }],
      JSON.parse('{"__proto__":{"posts":true}}'),
    ]) {
      await refused({ [name]: bad });
    }
  });

  test.each(named.filter(([, role]) => role === "order"))("%s: by plain fields alone", async (name) => {
    const order = [{ plain: { sort: "asc", nulls: "last" } }, { posts: { _count: "desc" } }, { _max: { plain: "asc" } }];
    expect(sent(operation, { [name]: order })).toEqual({ [name]: order });
    for (const bad of [
      ...[
        { email: "asc" },
        { _max: { email: "desc" } },
        { _count: { email: "desc" } },
        { _relevance: { fields: ["email"], search: "x", sort: "asc" } },
      ],
      ...[{ profile: { user: { email: "asc" } } }, { emailIndex: "asc" }, { unknown: "asc" }, [{ plain: "asc" }, { note: "asc" }]],
      JSON.parse('{"__proto__":{"email":"asc"}}'),
    ]) {
      await refused({ [name]: bad });
    }
  });

  test.each(named.filter(([, role]) => role === "having"))("%s: of plain fields alone", async (name) => {
    expect(sent(operation, { [name]: { plain: { equals: "x" }, AND: [{ id: { _max: { gt: 1 } } }] } })).toBeTruthy();
    for (const bad of [
      { email: { equals: "x" } },
      { email: { _count: { gt: 0 } } },
      { OR: [{ note: "x" }] },
      { unknown: 1 },
      { plain: { equals: new FieldReference("email") } },
    ]) {
      await refused({ [name]: bad });
    }
  });

  test.each(named.filter(([, role]) => role === "names"))("%s: plain fields alone", async (name) => {
    expect(sent(operation, { [name]: ["plain"] })).toEqual({ [name]: ["plain"] });
    for (const bad of [["email"], "email", ["plain", "note"], ["emailIndex"]]) await refused({ [name]: bad });
  });

  test.each(named.filter(([, role]) => role === "computed"))("%s: of plain fields alone", async (name) => {
    expect(sent(operation, { [name]: { plain: true } })).toEqual({ [name]: { plain: true } });
    for (const bad of [{ email: true }, { plain: true, note: true }, { nameIndex: true }]) await refused({ [name]: bad });
  });

  test.each(named.filter(([, role]) => role === "plain" || role === "counted" || role === "omitted"))("%s is passed", (name, role) => {
    const value = role === "plain" ? 1 : { email: true };
    expect(sent(operation, { [name]: value })).toEqual({ [name]: value });
  });
});

describe("nested writes", () => {
  const write = (relation: string, nested: object) => sent("update", { where: { id: 1 }, data: { [relation]: nested } });
  const title = "~t";

  test.each<[string, unknown, unknown]>([
    ["create", { title: "t" }, { title }],
    ["createMany", { data: [{ title: "t" }], skipDuplicates: true }, { data: [{ title }], skipDuplicates: true }],
    ["connectOrCreate", [{ where: { id: 1 }, create: { title: "t" } }], [{ where: { id: 1 }, create: { title } }]],
    [
      "upsert",
      { where: { id: 1 }, create: { title: "t" }, update: { title: "t" } },
      { where: { id: 1 }, create: { title }, update: { title } },
    ],
    ["update", { where: { id: 1 }, data: { title: "t" } }, { where: { id: 1 }, data: { title } }],
    ["update", [{ where: { id: 1 }, data: { title: "t", data: {} } }], [{ where: { id: 1 }, data: { title, data: {} } }]],
    ["updateMany", [{ where: { id: 1 }, data: { title: "t" } }], [{ where: { id: 1 }, data: { title } }]],
    ["connect", { id: 1 }, { id: 1 }],
    ["set", [], []],
    ["disconnect", true, true],
    ["delete", [{ id: 1 }], [{ id: 1 }]],
    ["deleteMany", {}, {}],
  ])("%s", (name, nested, expected) => {
    expect(write("posts", { [name]: nested })).toMatchObject({ data: { posts: { [name]: expected } } });
  });

  test("each has its example above", () => {
    expect(Object.keys(NESTED_WRITES)).toHaveLength(11);
  });

  test("an update that may be a whole or its data, because the model has such fields, is refused", async () => {
    for (const update of [{ data: { bio: "x" } }, { where: {}, data: { bio: "x" } }]) {
      expect((await refusal(() => write("profile", { update }))).code).toBe("invalid-argument");
    }
    expect((await refusal(() => write("posts", { update: { data: { title: "x" } } }))).code).toBe("invalid-argument");
    expect(write("profile", { update: { bio: "x", data: "y" } })).toMatchObject({
      data: { profile: { update: { bio: "~x", data: "y" } } },
    });
  });

  test.each<[string, object]>([
    ["a filter by a value without an index", { deleteMany: { title: "x" } }],
    ["a filter by a short index", { updateMany: { where: { author: { name: "ada" } }, data: { title: "x" } } }],
    ["an argument that is not known", { updateMany: { where: {}, data: {}, returning: true } }],
  ])("%s is refused", async (_, nested) => {
    expect((await refusal(() => write("posts", nested))).code).toBe("invalid-argument");
  });
});

test("a filter of a relation whose model has a field with the name of a quantifier is refused where it may be either", async () => {
  for (const profile of [{ is: "x" }, { is: null }, { is: { bio: null } }, { is: { is: "x" }, isNot: null }])
    expect(await refusal(() => sent("findMany", { where: { profile } }))).toMatchObject({
      code: "invalid-argument",
      hint: expect.stringContaining("AND: [{ is: "),
    });
  expect(sent("findMany", { where: { profile: { AND: [{ is: "x" }], bio: null } } })).toBeTruthy();
  expect(sent("findMany", { where: { posts: { some: { id: 1 } } } })).toBeTruthy();
});

test("rows of other values can be dropped only where all are given", async () => {
  for (const args of [
    { take: 1 },
    { skip: 1 },
    { cursor: { id: 1 } },
    { distinct: ["plain"] },
    { select: { id: true } },
    { omit: { name: true } },
  ]) {
    expect((await refusal(() => sent("findMany", { where: { name: "ada" }, ...args }))).message).toMatch(/short/);
  }
  expect(sent("findMany", { where: { AND: [{ name: "ada" }] }, select: { name: true } })).toBeTruthy();
});

test("records that lack the field by which a short index is checked, because the client omits it, are not dropped in silence", async () => {
  const index = {
    name: "nameIndex",
    cipher: { ...short, isSameToIndex: (a: string, b: string) => a === b },
    isUnique: false,
    hasGaps: false,
  };
  const opened = (records: unknown) =>
    decryptedResult(models, modelCalled(models, "User"), records, [{ field: "name", index, wanted: ["ada"] }], {});
  expect(opened([{ name: "~ada" }, { name: "~ann" }, { name: null }])).toEqual([{ name: "ada" }]);
  expect((await refusal(() => opened([{ id: 1 }]))).message).toMatch(/omits/);
});

test("the table of docs/recipes/prisma.md is that of the rules", () => {
  const rows = OPERATION_RULES.map(({ operations, takes, says }) => [
    operations.map((name) => `\`${name}\``).join(", "),
    Object.entries(takes)
      .map(([name]) => `\`${name}\``)
      .join(", "),
    says,
  ]);
  expect(readFileSync(join(ROOT, "docs/recipes/prisma.md"), "utf8")).toContain(
    rulesTable(["Operation", "Arguments that are known", "Encrypted fields"], rows),
  );
});

test("a date of another realm is no record of filters", () => {
  expect(isRecord(runInNewContext("new Date()"))).toBe(false);
  expect(isRecord(runInNewContext("({})"))).toBe(true);
});

test("fields in a Map or a list are refused: no field would be encrypted", async () => {
  for (const fields of [new Map([["User", {}]]), [], { User: new Map() }, { User: [] }, { User: null }])
    expect(await refusalCode(() => modelsOf({ _runtimeDataModel: { models: SCHEMA } }, untyped(fields)))).toBe("invalid-argument");
});
