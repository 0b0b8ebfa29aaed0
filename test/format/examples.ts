import { sha256 } from "@noble/hashes/sha2.js";
import { EMAIL_INDEX } from "./blind-index-vectors.ts";
import { bodyOf, THREE_CHUNKS_BYTES } from "./body-vectors.ts";
import { BOTH_KEY_ID, bothParts, PAD } from "./composite-vectors.ts";
import {
  COLUMN,
  COLUMN_CONTEXT,
  DATA_KEY,
  EMAIL,
  EXAMPLE_DETERMINISTIC,
  EXAMPLE_ENVELOPE,
  EXAMPLE_RECORD,
  EXAMPLE_TOKEN,
  INVOICE,
  KEK_ID,
  KEYS,
  kekOf,
  localRecipient,
  OBJECT,
  OBJECT_CONTEXT,
  ROW,
  ROW_CONTEXT,
  SALT,
  TENANT,
  TOKEN_NONCE,
  WRAP_NONCE,
} from "./material.ts";
import { SUCCESSION_MESSAGE } from "./succession-vectors.ts";
import { hex } from "./vector-file.ts";
import {
  bodyContext,
  bodySecrets,
  contextParts,
  deterministicLabel,
  encodeContext,
  indexDigits,
  indexItem,
  indexKey,
  join,
  type Pair,
  type Part,
  proofParts,
  standaloneParts,
  successionKey,
  successionMac,
  tokenAad,
  wrapAadParts,
  xaesKey,
} from "./writer.ts";

/** The worked examples of docs/format.md by name, as they stand between its fences. */
export function examples(): Readonly<Record<string, string>> {
  const token = join(EXAMPLE_TOKEN);
  const deterministic = join(EXAMPLE_DETERMINISTIC);
  const secrets = bodySecrets(KEYS.body, SALT, bodyContext(KEYS.keyCommit, OBJECT_CONTEXT));
  return {
    material: listed([
      ["data key DK", DATA_KEY],
      ["KEK", kekOf(KEK_ID)],
      ["key id of the KEK", KEK_ID],
      ["wrap nonce", WRAP_NONCE],
      ["salt", SALT],
      ["token nonce", TOKEN_NONCE],
      ["key context", map(TENANT)],
      ["adds: envelope, body", map(OBJECT)],
      ["adds: random token", map(ROW)],
      ["adds: determ. token", map(COLUMN)],
      ["plaintext, envelope", INVOICE],
      ["plaintext, tokens", EMAIL],
      ["plaintext, bodies", "byte i is i mod 251"],
    ]),
    derivations: listed([
      ["keyCommit", KEYS.keyCommit],
      ["kid", KEYS.kid],
      ["K_token", KEYS.token],
      ["K_det", KEYS.det],
      ["K_body", KEYS.body],
    ]),
    context: dump(contextParts([...TENANT, ...OBJECT])),
    wrap: `${dump(wrapAadParts("local", KEK_ID, encodeContext(TENANT)))}\n\n${listed([
      ["KX of XAES", xaesKey(kekOf(KEK_ID), WRAP_NONCE)],
      ["wrapped, algorithm 1", localRecipient().wrapped],
    ])}`,
    both: `${listed([
      ["r", PAD],
      ["key id", BOTH_KEY_ID],
    ])}\n\n${dump(bothParts())}`,
    "key-record": dump(standaloneParts(EXAMPLE_RECORD)),
    envelope: dump(EXAMPLE_ENVELOPE),
    token: `${listed([
      ["AAD", tokenAad(token.subarray(0, 17), ROW_CONTEXT)],
      ["KX of XAES", xaesKey(KEYS.token, TOKEN_NONCE)],
    ])}\n\n${dump(EXAMPLE_TOKEN)}`,
    "deterministic-token": `${listed([
      ["component 1", deterministicLabel(deterministic.subarray(0, 17))],
      ["component 2", COLUMN_CONTEXT],
    ])}\n\n${dump(EXAMPLE_DETERMINISTIC)}`,
    succession: `${listed([["K_succession", successionKey(DATA_KEY)]])}\n\n${dump([
      ...SUCCESSION_MESSAGE,
      ...proofParts([[1, successionMac(DATA_KEY, SUCCESSION_MESSAGE)]]),
    ])}`,
    "blind-index": listed([
      ["indexCtx", INDEX_CONTEXT],
      ["K_index", INDEX_KEY],
      ["item", EMAIL_ITEM],
      ["index", indexDigits(INDEX_KEY, EMAIL_ITEM, 128)],
    ]),
    "body-0-bytes": `${listed([
      ["context", bodyContext(KEYS.keyCommit, OBJECT_CONTEXT)],
      ["key of the chunks", secrets.key],
      ["base", secrets.base],
    ])}\n\n${dump(bodyOf(0))}`,
    "body-1-chunk": dump(bodyOf(17)),
    "body-3-chunks": dump(bodyOf(THREE_CHUNKS_BYTES)),
  };
}

function map(pairs: readonly Pair[]): string {
  return pairs.map(([key, value]) => `${key} = ${value}`).join(", ");
}

function dump(parts: readonly Part[]): string {
  const bytes = join(parts);
  return `${listed(parts)}\n${"".padEnd(FIELD_COLUMNS)}= ${bytes.length} bytes, SHA-256 ${hex(sha256(bytes))}`;
}

function listed(rows: readonly (readonly [string, Uint8Array | string])[]): string {
  return rows.map(([name, value]) => row(name, typeof value === "string" ? [value] : lines(name, value))).join("\n");
}

function row(name: string, values: readonly string[]): string {
  return values.map((value, index) => `${(index === 0 ? name : "").padEnd(FIELD_COLUMNS)}${value}`).join("\n");
}

function lines(name: string, bytes: Uint8Array): readonly string[] {
  if (bytes.length === 0) return ["(no byte)"];
  if (bytes.length > LONG_BYTES) return [`${hex(bytes.subarray(0, 16))} .. ${hex(bytes.subarray(-16))} (${bytes.length} bytes)`];
  const text = TEXT_FIELDS.has(name) ? `  "${new TextDecoder().decode(bytes)}"` : "";
  const rows: string[] = [];
  for (let at = 0; at < bytes.length; at += LINE_BYTES) rows.push(hex(bytes.subarray(at, at + LINE_BYTES)));
  return rows.map((line, index) => (index === rows.length - 1 ? line + text : line));
}

const FIELD_COLUMNS = 23;
const LINE_BYTES = 32;
const LONG_BYTES = 256;
const TEXT_FIELDS: ReadonlySet<string> = new Set([
  "label",
  "key",
  "value",
  "provider",
  "keyId",
  "plaintext, envelope",
  "plaintext, tokens",
]);
const INDEX_CONTEXT: Uint8Array = encodeContext([...TENANT, ...EMAIL_INDEX]);
const INDEX_KEY: Uint8Array = indexKey(DATA_KEY, INDEX_CONTEXT);
const EMAIL_ITEM: Uint8Array = indexItem({ text: "ada@example.org" });
