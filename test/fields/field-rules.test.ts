import { describe, expect, test } from "vitest";
import { type DataKey, deriveIndexKey } from "../../src/core/data-key/data-key.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { DataKeys } from "../../src/fields/data-keys.ts";
import { memoryStore } from "../../src/fields/stores/memory.ts";
import * as writer from "../format/writer.ts";
import { kek } from "../support/keks.ts";
import { refusalCode } from "../support/refusal.ts";

// docs/format.md §5.2, as a reader in another language would go about it: from the store's rows and the page alone.

describe("a database of fields", () => {
  const SCOPE = { tenant: "acme" };
  const NAMES: readonly (readonly [string, string])[] = [
    ["table", "users"],
    ["column", "email"],
  ];
  const opened = async () => {
    const store = memoryStore();
    const keyring = new Keyring(kek());
    const dataKeys = new DataKeys({ keyring, store });
    const email = await dataKeys.field({ table: "users", column: "email", scope: SCOPE, blindIndex: { bits: 128 } });
    /** The data key of the row whose scope is named as docs/format.md says. */
    const keyOf = async (...pairs: writer.Pair[]): Promise<DataKey> => {
      const scope = Buffer.from(writer.encodeContext(pairs)).toString("base64url");
      const [row] = await store.list(scope);
      return await keyring.unwrapDataKey(row?.record ?? new Uint8Array(0), { keyContext: Object.fromEntries(pairs) });
    };
    return { dataKeys, email, keyOf };
  };

  test("format.md [M-75] has tokens of table and column, and of the row if they are bound to one", async () => {
    const { email, keyOf } = await opened();
    const key = await keyOf(["tenant", "acme"]);
    const place = Object.fromEntries(NAMES);
    expect(text(key.decryptToken(email.encrypt("ada@example.org"), place))).toBe("ada@example.org");
    for (const row of ["7", 7, 7n] as const) expect(text(key.decryptToken(email.encrypt("x", { row }), { ...place, row: "7" }))).toBe("x");
    expect(text(key.decryptToken(email.encrypt("x", { row: -12 }), { ...place, row: "-12" }))).toBe("x");
    const record = email.record(["name"]).encrypt({ name: "Ada" }, { row: 7 });
    expect(text(key.decryptToken(record, { ...place, row: "7", form: "record" }))).toBe("\u0004name\u0000\u0000\u0000\u0003Ada");
  });

  test("format.md [M-75] has deterministic tokens of table and column alone", async () => {
    const { dataKeys, keyOf } = await opened();
    const phone = await dataKeys.field({ table: "users", column: "phone", scope: SCOPE, deterministic: true });
    const key = await keyOf(["tenant", "acme"]);
    expect(text(key.decryptDeterministic(phone.encrypt("112"), { table: "users", column: "phone" }))).toBe("112");
  });

  test.each([
    "table",
    "column",
    "row",
    "form",
    "index",
    "version",
    "envelock:purpose",
    "envelock:else",
  ])("format.md [M-75] has no scope with the name %s", async (name) => {
    const dataKeys = new DataKeys({ keyring: new Keyring(kek()), store: memoryStore() });
    expect(await refusalCode(() => dataKeys.field({ table: "t", column: "c", scope: { [name]: "x" } }))).toBe("invalid-argument");
  });

  test("format.md [M-79] has indexes under a data key of their own, told by its purpose", async () => {
    const { email, keyOf } = await opened();
    const pairs: readonly writer.Pair[] = [
      ["tenant", "acme"],
      ["envelock:purpose", "blind-indexes"],
    ];
    const fields = await keyOf(["tenant", "acme"]);
    const indexes = await keyOf(...pairs);
    expect(indexes.kid).not.toBe(fields.kid);
    const key = deriveIndexKey(indexes, { ...Object.fromEntries(NAMES), index: "email", version: "1" });
    const item = writer.indexItem({ text: "ada@example.org" });
    expect(email.blindIndex("ada@example.org")).toBe(writer.indexDigits(key, item, 128));
    expect(await refusalCode(() => keyOf(["tenant", "acme"], ["envelock:purpose", "fields"]))).toBe("malformed-envelope");
  });
});

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
