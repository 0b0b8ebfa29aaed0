import { DataKeys, type FieldCipher, type MigratingFieldCipher, memoryStore } from "../../src/fields/index.ts";
import { Keyring } from "../../src/index.ts";
import { kek } from "../support/keks.ts";

/** Ciphers for the columns that the adapters are tested with. */
export interface TestCiphers {
  /** With a blind index. */
  readonly email: FieldCipher<string>;
  /** The same column with an index that values share. */
  readonly shortEmail: FieldCipher<string>;
  /** The same column while it is being encrypted. */
  readonly migratingEmail: MigratingFieldCipher<string>;
  readonly age: FieldCipher<number>;
  readonly note: FieldCipher<string>;
  readonly title: FieldCipher<string>;
}

export async function testCiphers(tenant: string): Promise<TestCiphers> {
  const dataKeys = new DataKeys({ keyring: new Keyring({ wrapWith: [kek()], context: { tenant } }), store: memoryStore() });
  return {
    email: await dataKeys.field({ table: "users", column: "email", blindIndex: { bits: 128 } }),
    shortEmail: await dataKeys.field({ table: "users", column: "email", blindIndex: { bits: 2, normalise: "caseless" } }),
    migratingEmail: await dataKeys.field({
      table: "users",
      column: "email",
      blindIndex: { bits: 128 },
      migrating: "plaintext-allowed",
    }),
    age: await dataKeys.field({ table: "users", column: "age", type: "number" }),
    note: await dataKeys.field({ table: "users", column: "note" }),
    title: await dataKeys.field({ table: "posts", column: "title" }),
  };
}
