import {
  bodyParts,
  derive,
  deterministicParts,
  encodeContext,
  headerParts,
  join,
  keyRecordParts,
  type Pair,
  type Part,
  tokenParts,
  type WrittenRecipient,
  wrapAadParts,
  wrapLocal,
} from "./writer.ts";

// What every vector and every example of docs/format.md is made from. Fixed for ever: these are no secrets.

/** `bytes` consecutive values from `first` on, modulo 256. */
export function run(first: number, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, at) => first + at);
}

/** The plaintext of long bodies: byte i is i mod 251. */
export function patterned(bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, at) => at % 251);
}

export const DATA_KEY: Uint8Array = run(0x00, 32);
export const OTHER_DATA_KEY: Uint8Array = run(0xc0, 32);

export const KEK_ID = "kek-2026-11";
export const OLD_KEK_ID = "kek-2025-03";
export const KEKS: Readonly<Record<string, Uint8Array>> = { [KEK_ID]: run(0x20, 32), [OLD_KEK_ID]: run(0xa0, 32) };

export const WRAP_NONCE: Uint8Array = run(0x40, 24);
export const SALT: Uint8Array = run(0x60, 24);
export const TOKEN_NONCE: Uint8Array = run(0x80, 24);

export const TENANT: readonly Pair[] = [["tenant", "acme"]];
export const OTHER_TENANT: readonly Pair[] = [["tenant", "globex"]];
/** What belongs to the value alone; the value context is this and `TENANT`. */
export const OBJECT: readonly Pair[] = [["object", "invoices/7.pdf"]];
export const ROW: readonly Pair[] = [
  ["table", "users"],
  ["column", "email"],
  ["row", "7"],
];
export const COLUMN: readonly Pair[] = [
  ["table", "users"],
  ["column", "email"],
];

export interface LocalWrap {
  readonly kekId?: string;
  readonly dataKey?: Uint8Array;
  readonly keyContext?: readonly Pair[];
  readonly nonce?: Uint8Array;
  readonly suite?: number;
  /** Stands in the AAD in place of the true one. */
  readonly aadProvider?: string;
  readonly aadKeyId?: string;
}

/** A recipient of algorithm 1; by default the one of the examples. */
export function localRecipient(wrap: LocalWrap = {}): WrittenRecipient {
  const { kekId = KEK_ID, dataKey = DATA_KEY, keyContext = TENANT, nonce = WRAP_NONCE, suite = 1 } = wrap;
  const aad = join(wrapAadParts(wrap.aadProvider ?? "local", wrap.aadKeyId ?? kekId, encodeContext(keyContext), suite));
  return { provider: "local", keyId: kekId, alg: 1, wrapped: wrapLocal(kekOf(kekId), nonce, aad, dataKey) };
}

export function kekOf(keyId: string): Uint8Array {
  const kek = KEKS[keyId];
  if (kek === undefined) throw new Error(`no KEK is called ${keyId}`);
  return kek;
}

/** What the examples' data key derives in the examples' key context. */
export const KEYS: ReturnType<typeof derive> = derive(DATA_KEY, encodeContext(TENANT));
export const OTHER_KEYS: ReturnType<typeof derive> = derive(OTHER_DATA_KEY, encodeContext(TENANT));

/** What belongs to the object of the examples, and to the row and the column. */
export const OBJECT_CONTEXT: Uint8Array = encodeContext([...TENANT, ...OBJECT]);
export const ROW_CONTEXT: Uint8Array = encodeContext([...TENANT, ...ROW]);
export const COLUMN_CONTEXT: Uint8Array = encodeContext([...TENANT, ...COLUMN]);

export const INVOICE: Uint8Array = new TextEncoder().encode("Invoice 7: 120.00 EUR");
export const EMAIL: Uint8Array = new TextEncoder().encode("ada@example.org");

export const EXAMPLE_RECORD: readonly Part[] = keyRecordParts(KEYS.keyCommit, [localRecipient()]);
export const EXAMPLE_HEADER: readonly Part[] = headerParts(EXAMPLE_RECORD);
export const EXAMPLE_BODY: readonly Part[] = bodyParts(KEYS, SALT, OBJECT_CONTEXT, INVOICE);
export const EXAMPLE_ENVELOPE: readonly Part[] = [...EXAMPLE_HEADER, ...EXAMPLE_BODY];
export const EXAMPLE_TOKEN: readonly Part[] = tokenParts(KEYS, TOKEN_NONCE, ROW_CONTEXT, EMAIL);
export const EXAMPLE_DETERMINISTIC: readonly Part[] = deterministicParts(KEYS, COLUMN_CONTEXT, EMAIL);

/** The same data key as in the examples, wrapped under the old KEK. */
export const OLD_RECIPIENT: WrittenRecipient = localRecipient({ kekId: OLD_KEK_ID, nonce: run(0x48, 24) });

export function flip(bytes: Uint8Array, at: number): Uint8Array {
  return bytes.map((byte, index) => (index === at ? byte ^ 0x80 : byte));
}
