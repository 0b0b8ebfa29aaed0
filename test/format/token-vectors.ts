import { aessiv } from "@noble/ciphers/aes.js";
import {
  COLUMN,
  COLUMN_CONTEXT,
  DATA_KEY,
  EMAIL,
  EXAMPLE_DETERMINISTIC,
  EXAMPLE_TOKEN,
  flip,
  KEYS,
  OTHER_DATA_KEY,
  OTHER_TENANT,
  patterned,
  ROW,
  ROW_CONTEXT,
  run,
  TENANT,
  TOKEN_NONCE,
} from "./material.ts";
import { type FormatError, hex, type Vector, type VectorFile } from "./vector-file.ts";
import {
  derive,
  deterministicLabel,
  deterministicParts,
  encodeContext,
  join,
  type Pair,
  type Part,
  replaced,
  sealXaes,
  tokenAad,
  tokenParts,
  uint,
} from "./writer.ts";

/** docs/format.md §5 */
export interface TokenVector {
  /** What the reader asks for. */
  readonly kind: "random" | "deterministic";
  readonly dataKey: string;
  readonly keyContext: readonly Pair[];
  /** What the value adds: for a deterministic token, the column. */
  readonly context: readonly Pair[];
  /** In hex. */
  readonly token?: string;
  readonly text?: string;
  readonly nonce?: string;
  readonly plaintext?: string;
}

export function tokenVectors(): VectorFile<TokenVector> {
  return {
    about: "docs/format.md §5: random and deterministic field tokens, as bytes and as text.",
    shared: {},
    vectors: [...good(), ...brokenRandom(), ...brokenDeterministic(), ...brokenContexts(), ...brokenTexts()],
  };
}

interface TokenCase {
  readonly dataKey?: Uint8Array;
  readonly keyContext?: readonly Pair[];
  readonly context?: readonly Pair[];
  readonly nonce?: Uint8Array;
}

function good(): readonly Vector<TokenVector>[] {
  const cases: readonly (readonly [string, Uint8Array, TokenCase])[] = [
    ["example", EMAIL, {}],
    ["empty plaintext", run(0, 0), {}],
    ["one byte", run(0xff, 1), {}],
    ["15 bytes", run(0, 15), {}],
    ["16 bytes", run(0, 16), {}],
    ["17 bytes", run(0, 17), {}],
    ["32 bytes", run(0, 32), {}],
    ["1000 bytes", patterned(1000), {}],
    ["no context at all", EMAIL, { keyContext: [], context: [] }],
    ["key context alone", EMAIL, { context: [] }],
    ["value context alone", EMAIL, { keyContext: [] }],
    [
      "text beyond ASCII in the context",
      EMAIL,
      {
        context: [
          ["\uff5e", "1"],
          ["\u{1f600}", "2"],
        ],
      },
    ],
    ["another data key", EMAIL, { dataKey: OTHER_DATA_KEY, nonce: run(1, 24) }],
    ["nonce of zeros", EMAIL, { nonce: new Uint8Array(24) }],
  ];
  return [
    ...cases.map(([name, plaintext, more]) => random(name, plaintext, more)),
    ...cases.filter(([name]) => name !== "nonce of zeros").map(([name, plaintext, more]) => deterministic(name, plaintext, more)),
  ];
}

function random(name: string, plaintext: Uint8Array, more: TokenCase): Vector<TokenVector> {
  const { dataKey = DATA_KEY, keyContext = TENANT, context = ROW, nonce = TOKEN_NONCE } = more;
  const token = join(tokenParts(derive(dataKey, encodeContext(keyContext)), nonce, encodeContext([...keyContext, ...context]), plaintext));
  return {
    name: `random: ${name}`,
    kind: "random",
    dataKey: hex(dataKey),
    keyContext,
    context,
    nonce: hex(nonce),
    plaintext: hex(plaintext),
    token: hex(token),
    text: base64Url(token),
  };
}

function deterministic(name: string, plaintext: Uint8Array, more: TokenCase): Vector<TokenVector> {
  const { dataKey = DATA_KEY, keyContext = TENANT, context = COLUMN } = more;
  const token = join(deterministicParts(derive(dataKey, encodeContext(keyContext)), encodeContext([...keyContext, ...context]), plaintext));
  return {
    name: `deterministic: ${name}`,
    kind: "deterministic",
    dataKey: hex(dataKey),
    keyContext,
    context,
    plaintext: hex(plaintext),
    token: hex(token),
    text: base64Url(token),
  };
}

function brokenRandom(): readonly Vector<TokenVector>[] {
  const token = join(EXAMPLE_TOKEN);
  const valueContext = ROW_CONTEXT;
  const empty = join(tokenParts(KEYS, TOKEN_NONCE, valueContext, run(0, 0)));
  const sealedWith = (aad: Uint8Array, key: Uint8Array = KEYS.token): Uint8Array => {
    return Uint8Array.of(...token.subarray(0, 41), ...sealXaes(key, TOKEN_NONCE, aad, EMAIL));
  };
  const failed = (name: string, breaks: string, note: string, bytes: Uint8Array): Vector<TokenVector> =>
    broken("random", name, breaks, note, bytes, "authentication-failed");
  const malformed = (name: string, breaks: string, note: string, bytes: Uint8Array): Vector<TokenVector> =>
    broken("random", name, breaks, note, bytes, "malformed-envelope");
  return [
    ...cuts("random", EXAMPLE_TOKEN, 57),
    malformed("56 bytes", "M-42", "one short of an empty plaintext", empty.subarray(0, 56)),
    ...[0x00, 0x9b, 0x9d, 0x9e].map((byte) => malformed(`first byte ${hex(uint(1, byte))}`, "M-42", "no token", withFirst(token, byte))),
    malformed("deterministic token", "M-43", "asked for a random one", join(EXAMPLE_DETERMINISTIC)),
    malformed("first byte of a deterministic token", "M-43", "asked for a random one", withFirst(token, 0xbc)),
    failed("kid: first byte flipped", "M-45", "names no data key here", flip(token, 1)),
    failed("kid: last byte flipped", "M-45", "names no data key here", flip(token, 16)),
    failed("kid of another key context", "M-45", "of the other tenant", renamed(derive(DATA_KEY, encodeContext(OTHER_TENANT)).kid)),
    failed("nonce: first byte flipped", "M-47", "derives another key", flip(token, 17)),
    failed("nonce: last byte flipped", "M-47", "the second half is the nonce of GCM", flip(token, 40)),
    failed("ciphertext flipped", "M-47", "first byte", flip(token, 41)),
    failed("tag flipped", "M-65", "last byte", flip(token, token.length - 1)),
    failed("a byte after it", "M-65", "the tag is elsewhere then", Uint8Array.of(...token, 0)),
    failed("a byte cut off", "M-65", "the tag is elsewhere then", token.subarray(0, -1)),
    failed("AAD without the first 17 bytes", "M-47", "label and context alone", sealedWith(tokenAad(run(0, 0), valueContext))),
    failed("AAD without the context", "M-47", "label and prefix alone", sealedWith(tokenAad(token.subarray(0, 17), run(0, 0)))),
    failed(
      "AAD with the label of deterministic tokens",
      "M-47",
      "another label",
      sealedWith(Uint8Array.of(...deterministicLabel(token.subarray(0, 17)), ...valueContext)),
    ),
    failed(
      "sealed under the data key itself",
      "M-5",
      "and not under what it derives",
      sealedWith(tokenAad(token.subarray(0, 17), valueContext), DATA_KEY),
    ),
    failed(
      "sealed under the key of another suite",
      "M-5",
      "suite byte 2",
      sealedWith(tokenAad(token.subarray(0, 17), valueContext), derive(DATA_KEY, encodeContext(TENANT), 2).token),
    ),
  ];
}

function brokenDeterministic(): readonly Vector<TokenVector>[] {
  const token = join(EXAMPLE_DETERMINISTIC);
  const prefix = token.subarray(0, 17);
  const columnContext = COLUMN_CONTEXT;
  const sealedWith = (...components: Uint8Array[]): Uint8Array =>
    Uint8Array.of(...prefix, ...aessiv(KEYS.det, ...components).encrypt(EMAIL));
  const failed = (name: string, breaks: string, note: string, bytes: Uint8Array): Vector<TokenVector> =>
    broken("deterministic", name, breaks, note, bytes, "authentication-failed");
  const malformed = (name: string, breaks: string, note: string, bytes: Uint8Array): Vector<TokenVector> =>
    broken("deterministic", name, breaks, note, bytes, "malformed-envelope");
  const bare = derive(DATA_KEY, encodeContext([]));
  const barePrefix = Uint8Array.of(0xbc, ...bare.kid);
  const bareToken = Uint8Array.of(...barePrefix, ...aessiv(bare.det, deterministicLabel(barePrefix)).encrypt(EMAIL));
  return [
    ...cuts("deterministic", EXAMPLE_DETERMINISTIC, 33),
    malformed("cut to 32 bytes", "M-42", "one short of an empty plaintext", token.subarray(0, 32)),
    malformed("random token", "M-43", "asked for a deterministic one", join(EXAMPLE_TOKEN)),
    failed("random token under another first byte", "M-47", "long enough, but sealed otherwise", withFirst(join(EXAMPLE_TOKEN), 0xbc)),
    malformed("first byte 9d", "M-42", "no token", withFirst(token, 0x9d)),
    failed("kid flipped", "M-45", "names no data key here", flip(token, 8)),
    failed("SIV: first byte flipped", "M-47", "byte 17", flip(token, 17)),
    failed("SIV: bit that the counter clears", "M-47", "the top bit of byte 8 of the SIV counts all the same", flip(token, 25)),
    failed("ciphertext flipped", "M-47", "last byte", flip(token, token.length - 1)),
    failed("a byte after it", "M-47", "another plaintext, another SIV", Uint8Array.of(...token, 0)),
    failed("a byte cut off", "M-47", "another plaintext, another SIV", token.subarray(0, -1)),
    failed("components the other way round", "M-47", "context first", sealedWith(columnContext, deterministicLabel(prefix))),
    failed(
      "components joined to one",
      "M-47",
      "label, prefix and context",
      sealedWith(Uint8Array.of(...deterministicLabel(prefix), ...columnContext)),
    ),
    failed("without the context", "M-47", "one component", sealedWith(deterministicLabel(prefix))),
    failed("label of random tokens", "M-47", "another label", sealedWith(tokenAad(prefix, run(0, 0)), columnContext)),
    {
      ...failed("empty component left out", "M-48", "no context at all, but component 2 is to be there", bareToken),
      keyContext: [],
      context: [],
    },
  ];
}

function brokenContexts(): readonly Vector<TokenVector>[] {
  const failed = (
    kind: TokenVector["kind"],
    name: string,
    breaks: string,
    more: Partial<TokenVector>,
    error: FormatError = "authentication-failed",
  ): Vector<TokenVector> => {
    const token = join(kind === "random" ? EXAMPLE_TOKEN : EXAMPLE_DETERMINISTIC);
    return { ...broken(kind, name, breaks, "the token is that of the example", token, error), ...more };
  };
  const anotherRow: readonly Pair[] = [...COLUMN, ["row", "8"]];
  const anotherColumn: readonly Pair[] = [
    ["table", "users"],
    ["column", "phone"],
  ];
  return [
    failed("random", "another row", "M-47", { context: anotherRow }),
    failed("random", "no row", "M-47", { context: COLUMN }),
    failed("random", "no value context", "M-47", { context: [] }),
    failed("random", "read with another tenant", "M-45", { keyContext: OTHER_TENANT }),
    failed("random", "read without key context", "M-45", { keyContext: [] }),
    failed("random", "read with another data key", "M-45", { dataKey: hex(OTHER_DATA_KEY) }),
    failed("random", "one key, two values", "M-14", { context: [["tenant", "globex"], ...ROW] }, "invalid-argument"),
    failed("random", "empty key", "M-11", { context: [["", "x"]] }, "invalid-argument"),
    failed("random", "lone surrogate", "M-10", { context: [["row", "\udc00"]] }, "invalid-argument"),
    failed("random", "a bad context and another data key", "M-3", { dataKey: hex(OTHER_DATA_KEY), context: [["", "x"]] }),
    failed("deterministic", "another column", "M-47", { context: anotherColumn }),
    failed("deterministic", "a row as well", "M-47", { context: ROW }),
    failed("deterministic", "read with another tenant", "M-45", { keyContext: OTHER_TENANT }),
    failed("deterministic", "read with another data key", "M-45", { dataKey: hex(OTHER_DATA_KEY) }),
    failed("deterministic", "one key, two values", "M-14", { context: [["tenant", "globex"]] }, "invalid-argument"),
  ];
}

function brokenTexts(): readonly Vector<TokenVector>[] {
  const odd = base64Url(join(EXAMPLE_TOKEN)); // 72 bytes, 96 characters: no unused bits
  const short = base64Url(join(tokenParts(KEYS, TOKEN_NONCE, ROW_CONTEXT, run(0, 1)))); // 58 bytes, 4 unused bits
  const shorter = base64Url(join(tokenParts(KEYS, TOKEN_NONCE, ROW_CONTEXT, run(0, 2)))); // 59 bytes, 2 unused bits
  const malformed = (name: string, note: string, text: string): Vector<TokenVector> => {
    return { name: `text: ${name}`, ...reader("random"), text, error: "malformed-envelope", breaks: "M-44", note };
  };
  return [
    { ...malformed("empty", "no first byte", ""), breaks: "M-42" },
    malformed("two characters of padding", "==", `${short}==`),
    malformed("one character of padding", "=", `${shorter}=`),
    malformed("plus in place of minus", "the alphabet of plain base64", `${odd.slice(0, 40)}+${odd.slice(41)}`),
    malformed("slash in place of underscore", "the alphabet of plain base64", `${odd.slice(0, 40)}/${odd.slice(41)}`),
    malformed("line feed at the end", "white space", `${odd}\n`),
    malformed("space at the start", "white space", ` ${odd}`),
    malformed("line feed in the middle", "white space", `${odd.slice(0, 64)}\n${odd.slice(64)}`),
    malformed("character beyond ASCII", "U+0131", `${odd.slice(0, 40)}\u0131${odd.slice(41)}`),
    malformed("length of 1 modulo 4", "a character too many", `${odd}A`),
    malformed("unused bits: lowest of four", "another text for the same bytes", raised(short, 1)),
    malformed("unused bits: all four", "another text for the same bytes", raised(short, 15)),
    malformed("unused bits: one of two", "another text for the same bytes", raised(shorter, 1)),
    malformed("hex", "valid base64url of other bytes", hex(join(EXAMPLE_TOKEN))),
  ].map((vector) => (vector.name === "text: hex" ? { ...vector, breaks: "M-42" } : vector));
}

function cuts(kind: TokenVector["kind"], parts: readonly Part[], least: number): readonly Vector<TokenVector>[] {
  return parts.map(([field], index) => {
    const bytes = join(parts.slice(0, index));
    const isLong = bytes.length >= least;
    const note = isLong ? "what is left stands for tag or SIV" : "too short for its kind";
    return broken(
      kind,
      `cut before ${field}`,
      isLong ? "M-65" : "M-42",
      note,
      bytes,
      isLong ? "authentication-failed" : "malformed-envelope",
    );
  });
}

function broken(
  kind: TokenVector["kind"],
  name: string,
  breaks: string,
  note: string,
  bytes: Uint8Array,
  error: FormatError,
): Vector<TokenVector> {
  return { name: `${kind}: ${name}`, ...reader(kind), token: hex(bytes), error, breaks, note };
}

function reader(kind: TokenVector["kind"]): Pick<TokenVector, "kind" | "dataKey" | "keyContext" | "context"> {
  return { kind, dataKey: hex(DATA_KEY), keyContext: TENANT, context: kind === "random" ? ROW : COLUMN };
}

function withFirst(token: Uint8Array, byte: number): Uint8Array {
  return Uint8Array.of(byte, ...token.subarray(1));
}

function renamed(kid: Uint8Array): Uint8Array {
  return join(replaced(EXAMPLE_TOKEN, "kid", kid));
}

/** The same text but for its last character, which stands `more` places on in the alphabet. */
function raised(text: string, more: number): string {
  return text.slice(0, -1) + (ALPHABET[ALPHABET.indexOf(text.slice(-1)) + more] ?? "");
}

function base64Url(bytes: Uint8Array): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return (bits.match(/.{1,6}/g) ?? []).map((six) => ALPHABET[Number.parseInt(six.padEnd(6, "0"), 2)] ?? "").join("");
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
