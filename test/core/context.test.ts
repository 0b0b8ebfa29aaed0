import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Context, compareUtf8, KeyContext } from "../../src/core/base/context.ts";
import { contexts, type Pairs, pairs, runs, splitContexts, texts } from "../support/arbitraries.ts";
import { hexOf } from "../support/bytes.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";

describe("context encoding (format.md §2)", () => {
  test("is what an independent encoder writes", () => {
    fc.assert(
      fc.property(pairs, (list) => {
        expect(hexOf(new KeyContext(Object.fromEntries(list)).bytes)).toBe(independently(list).toString("hex"));
      }),
      runs(500, 200),
    );
  });

  test("is injective: the pairs can be read back", () => {
    fc.assert(
      fc.property(contexts, (context) => {
        expect(decoded(new KeyContext(context).bytes)).toEqual({ ...context });
      }),
      runs(500, 200),
    );
  });

  test("does not depend on the order in which the keys were set", () => {
    fc.assert(
      fc.property(
        pairs.chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray([...list], { minLength: list.length }))),
        ([list, shuffled]) => {
          const one = new KeyContext(Object.fromEntries(list)).bytes;
          expect(hexOf(new KeyContext(Object.fromEntries(shuffled)).bytes)).toBe(hexOf(one));
        },
      ),
      runs(300, 100),
    );
  });

  test("compares keys as their UTF-8 bytes compare, also above the BMP", () => {
    fc.assert(
      fc.property(texts, texts, (a, b) => {
        expect(Math.sign(compareUtf8(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
      runs(1000, 500),
    );
    // U+FF5E is below U+1F600 in UTF-8 and above it in UTF-16
    const { bytes } = new KeyContext({ "\u{1f600}": "astral", "\u{ff5e}": "high in the BMP", z: "ASCII" });
    expect(Object.keys(decoded(bytes))).toEqual(["z", "\u{ff5e}", "\u{1f600}"]);
  });

  test("of nothing is no bytes, whether it is absent, empty, or extended by nothing", () => {
    expect(new KeyContext(undefined).bytes).toHaveLength(0);
    expect(new KeyContext({}).bytes).toHaveLength(0);
    expect(new KeyContext({}).encode({})).toHaveLength(0);
    expect(new KeyContext({}).encode(undefined)).toHaveLength(0);
  });

  test("takes keys that mean something to JavaScript as keys like any other", () => {
    const names = ["__proto__", "constructor", "hasOwnProperty", "toString"];
    for (const name of names) {
      const { bytes, map } = new KeyContext(Object.fromEntries([[name, "x"]]));
      expect(hexOf(bytes)).toBe(independently([[name, "x"]]).toString("hex"));
      expect(Object.entries(map)).toEqual([[name, "x"]]);
      expect(Object.getPrototypeOf(map)).toBeNull();
    }
    expect("constructor" in new KeyContext({ a: "1" }).map).toBe(false);
  });

  test("hands out its map frozen", () => {
    expect(Object.isFrozen(new KeyContext({ a: "1" }).map)).toBe(true);
    expect(Object.isFrozen(new KeyContext(undefined).map)).toBe(true);
  });

  test("does not normalise: two spellings of é are two contexts", () => {
    expect(hexOf(new KeyContext({ name: "\u{e9}" }).bytes)).not.toBe(hexOf(new KeyContext({ name: "e\u{301}" }).bytes));
  });
});

describe("context limits (format.md §2)", () => {
  test("64 pairs are taken, 65 are not, also when they come together only in the value context", async () => {
    expect(new KeyContext(numbered(64)).bytes.subarray(0, 2)).toEqual(Uint8Array.of(0, 64));
    expect(await refusalCode(() => new KeyContext(numbered(65)))).toBe("invalid-argument");
    const keyContext = new KeyContext(numbered(40));
    expect(keyContext.encode(numbered(64)).subarray(0, 2)).toEqual(Uint8Array.of(0, 64));
    expect(await refusalCode(() => keyContext.encode(numbered(65)))).toBe("invalid-argument");
    expect(await refusalCode(() => keyContext.encode({ ...numbered(64), more: "" }))).toBe("invalid-argument");
  });

  test("8192 bytes are taken, 8193 are not, counted in UTF-8", async () => {
    const key = "k";
    const overhead = 2 + 2 + key.length + 2;
    expect(new KeyContext({ [key]: "v".repeat(8192 - overhead) }).bytes).toHaveLength(8192);
    expect(await refusalCode(() => new KeyContext({ [key]: "v".repeat(8193 - overhead) }))).toBe("invalid-argument");
    const astral = "\u{1f600}".repeat((8192 - overhead - 1) / 4);
    expect(new KeyContext({ [key]: `${astral}v` }).bytes).toHaveLength(8192);
    expect(await refusalCode(() => new KeyContext({ [key]: `${astral}é` }))).toBe("invalid-argument");
    const keyContext = new KeyContext({ [key]: "v".repeat(8000) });
    expect(await refusalCode(() => keyContext.encode({ other: "v".repeat(400) }))).toBe("invalid-argument");
  });

  const lone = ["\u{d800}", "\u{dc00}", "a\u{dfff}", "\u{dbff}a", "\u{de00}\u{d83d}", "\u{1f600}\u{d83d}", "\u{d83d}\u{d83d}\u{de00}"];
  test.each(lone)("a lone surrogate is refused as key and as value: %j", async (text) => {
    expect(await refusalCode(() => new KeyContext({ [text]: "v" }))).toBe("invalid-argument");
    expect(await refusalCode(() => new KeyContext({ k: text }))).toBe("invalid-argument");
    expect(await refusalCode(() => new KeyContext({ k: "v", [text]: "v" }))).toBe("invalid-argument");
    expect(await refusalCode(() => new KeyContext({ k: "v" }).encode({ [text]: "v" }))).toBe("invalid-argument");
  });

  test("an empty key is refused, an empty value is not", async () => {
    expect(await refusalCode(() => new KeyContext({ "": "v" }))).toBe("invalid-argument");
    expect(hexOf(new KeyContext({ k: "" }).bytes)).toBe("000100016b0000");
  });

  const notContexts: readonly unknown[] = [
    null,
    "text",
    7,
    ["a"],
    new Map([["a", "b"]]),
    new Set(["a"]),
    Buffer.from("ab"),
    { a: 1 },
    { a: null },
    Promise.resolve({ a: "b" }),
    new Date(0),
    new (class {
      get tenant(): string {
        return "acme"; // of the class, and so no key of the object
      }
    })(),
  ];
  test.each(notContexts.map((each) => [each]))("what is no map of strings is refused: %o", async (value) => {
    expect(await refusalCode(() => new KeyContext(untyped(value)))).toBe("invalid-argument");
    expect(await refusalCode(() => new KeyContext({ b: "c" }).encode(untyped(value)))).toBe("invalid-argument");
  });
});

describe("value context (format.md §2)", () => {
  test("is the context of both parts together", () => {
    fc.assert(
      fc.property(splitContexts, ({ context, rest }) => {
        const together = new KeyContext({ ...context, ...rest });
        expect(hexOf(new KeyContext(context).encode(rest))).toBe(hexOf(together.bytes));
      }),
      runs(500, 200),
    );
  });

  test("does not depend on what was encoded before under the same key context, nor on what was refused", async () => {
    const many = fc.array(fc.oneof(contexts, fc.constantFrom(...LONG_CONTEXTS)), { maxLength: 12 });
    const refused = fc.constantFrom<Context>(
      { "": "v" },
      { k: "\u{d800}" },
      { k: "v".repeat(9000) },
      { fixed: "other" },
      untyped({ k: 1 }),
    );
    await fc.assert(
      fc.asyncProperty(many, fc.array(refused, { maxLength: 3 }), async (list, bad) => {
        const keyContext = new KeyContext({ fixed: "value" });
        for (const [place, context] of [...list, ...list].entries()) {
          const next = bad[place % 4];
          if (next !== undefined) expect(await refusalCode(() => keyContext.encode(next))).toBe("invalid-argument");
          const together = { ...context, fixed: "value" };
          expect(hexOf(keyContext.encode(context))).toBe(independently(Object.entries(together)).toString("hex"));
        }
        expect(hexOf(keyContext.encode(undefined))).toBe(hexOf(keyContext.bytes));
      }),
      runs(150, 60),
    );
  });

  test("refuses a key that stands in both with different values, and names it", async () => {
    await fc.assert(
      fc.asyncProperty(
        pairs,
        texts.filter((key) => key !== ""),
        texts,
        texts,
        async (list, key, one, other) => {
          fc.pre(one !== other);
          const keyContext = new KeyContext(Object.fromEntries([...list, [key, one]]));
          const { code, message } = await refusal(() => keyContext.encode(Object.fromEntries([[key, other]])));
          expect(code).toBe("invalid-argument");
          expect(message).toContain(key);
        },
      ),
      runs(300, 100),
    );
  });
});

/** Of one shape, with values from nothing to almost 8 KiB, ASCII and not. */
const LONG_CONTEXTS: readonly Context[] = [0, 1, 200, 260, 2000, 8000].flatMap((length) => [
  { row: "7", note: "n".repeat(length) },
  { row: "8", note: "é".repeat(length / 2) },
]);

/** The encoding once more, from the specification alone: sorted as buffers, lengths from Buffer. */
function independently(list: Pairs): Buffer {
  if (list.length === 0) return Buffer.alloc(0);
  const sorted = list.map(([key, value]) => ({ key: Buffer.from(key, "utf8"), value: Buffer.from(value, "utf8") }));
  sorted.sort((a, b) => Buffer.compare(a.key, b.key));
  return Buffer.concat([
    uint16(list.length),
    ...sorted.flatMap(({ key, value }) => [uint16(key.length), key, uint16(value.length), value]),
  ]);
}

function decoded(bytes: Uint8Array): Record<string, string> {
  if (bytes.length === 0) return {};
  const buffer = Buffer.from(bytes);
  let offset = 2;
  const text = (): string => {
    const start = offset + 2;
    offset = start + buffer.readUInt16BE(offset);
    return buffer.toString("utf8", start, offset);
  };
  const list = Array.from({ length: buffer.readUInt16BE(0) }, () => [text(), text()]);
  expect(offset).toBe(bytes.length);
  return Object.fromEntries(list);
}

function uint16(value: number): Buffer {
  return Buffer.of(value >> 8, value & 0xff);
}

function numbered(count: number): Context {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`key-${index}`, `${index}`]));
}
