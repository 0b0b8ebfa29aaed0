import { DATA_KEY, OTHER_DATA_KEY, OTHER_TENANT, TENANT } from "./material.ts";
import { hex, type Vector, type VectorFile } from "./vector-file.ts";
import { encodeContext, type IndexedValue, indexDigits, indexItem, indexKey, type Pair } from "./writer.ts";

/** docs/format.md §5.1 */
export interface BlindIndexVector {
  readonly dataKey: string;
  readonly keyContext: readonly Pair[];
  readonly context: readonly Pair[];
  readonly indexKey: string;
  readonly value: IndexedValue;
  readonly bits: number;
  readonly digits?: string;
}

export function blindIndexVectors(): VectorFile<BlindIndexVector> {
  return {
    about: "docs/format.md §5.1: blind indexes. A data key of indexes serves nothing else; this one is that of the other examples.",
    shared: {},
    vectors: [...CASES.map(good), ...BROKEN],
  };
}

/** What makes the index of the examples the one it is. */
export const EMAIL_INDEX: readonly Pair[] = [
  ["table", "users"],
  ["column", "email"],
  ["index", "email"],
  ["version", "1"],
];

function good([name, value, bits, of = {}]: Case): Vector<BlindIndexVector> {
  const { indexKey: key, ...named } = keyOf(of);
  return { name, ...named, indexKey: hex(key), value, bits, digits: indexDigits(key, indexItem(value), bits) };
}

function keyOf({ dataKey = DATA_KEY, keyContext = TENANT, context = EMAIL_INDEX }: IndexCase): {
  readonly dataKey: string;
  readonly keyContext: readonly Pair[];
  readonly context: readonly Pair[];
  readonly indexKey: Uint8Array;
} {
  const key = indexKey(dataKey, encodeContext([...keyContext, ...context]));
  return { dataKey: hex(dataKey), keyContext, context, indexKey: key };
}

interface IndexCase {
  readonly dataKey?: Uint8Array;
  readonly keyContext?: readonly Pair[];
  readonly context?: readonly Pair[];
}

type Case = readonly [name: string, value: IndexedValue, bits: number, of?: IndexCase];

const EMAIL_TEXT: IndexedValue = { text: "ada@example.org" };
const NAMES: readonly Pair[] = [
  ["table", "users"],
  ["index", "names"],
  ["version", "1"],
];

const CASES: readonly Case[] = [
  ["example", EMAIL_TEXT, 128],
  ["1 bit", EMAIL_TEXT, 1],
  ["7 bits", EMAIL_TEXT, 7],
  ["8 bits", EMAIL_TEXT, 8],
  ["9 bits", EMAIL_TEXT, 9],
  ["32 bits", EMAIL_TEXT, 32],
  ["255 bits", EMAIL_TEXT, 255],
  ["256 bits", EMAIL_TEXT, 256],
  ["another data key", EMAIL_TEXT, 128, { dataKey: OTHER_DATA_KEY }],
  ["another tenant", EMAIL_TEXT, 128, { keyContext: OTHER_TENANT }],
  ["no key context", EMAIL_TEXT, 128, { keyContext: [] }],
  ["version 2", EMAIL_TEXT, 128, { context: [...EMAIL_INDEX.slice(0, 3), ["version", "2"]] }],
  ["empty text", { text: "" }, 128],
  ["text beyond ASCII", { text: "M\u00fcller \u{1f511}" }, 128],
  ["text that could be composed", { text: "Mu\u0308ller" }, 128],
  ["bytes that spell the text", { bytes: "616461406578616d706c652e6f7267" }, 128],
  ["no bytes", { bytes: "" }, 128],
  ["number 5", { number: 5 }, 128],
  ["number 0", { number: 0 }, 128],
  ["number -1.5", { number: -1.5 }, 128],
  ["greatest number", { number: Number.MAX_VALUE }, 128],
  ["integer 5", { integer: "5" }, 128],
  ["large negative integer", { integer: "-340282366920938463463374607431768211456" }, 128],
  ["true", { truth: true }, 128],
  ["false", { truth: false }, 128],
  ["a time", { timeMs: 1795392000123 }, 128],
  ["a time before 1970", { timeMs: -86400000 }, 128],
  ["compound", { list: [{ text: "Ada" }, { text: "Lovelace" }] }, 64, { context: NAMES }],
  ["compound, cut elsewhere", { list: [{ text: "AdaL" }, { text: "ovelace" }] }, 64, { context: NAMES }],
  ["compound of several types", { list: [{ number: 5 }, { truth: true }, { bytes: "00" }] }, 64, { context: NAMES }],
  ["compound of one", { list: [{ text: "Ada" }] }, 64, { context: NAMES }],
  ["key context of indexes", EMAIL_TEXT, 128, { keyContext: [...TENANT, ["envelock:purpose", "blind-indexes"]] }],
  // -0 is indexed as 0, and a length beyond 16 bits takes all four bytes of its field
  ["number -0", { binary64: "8000000000000000" }, 128],
  ["least number above 0", { binary64: "0000000000000001" }, 128],
  ["compound with number -0", { list: [{ binary64: "8000000000000000" }, { text: "" }] }, 64, { context: NAMES }],
  ["text of 255 bytes", { text: { repeat: "a", times: 255 } }, 128],
  ["text of 256 bytes", { text: { repeat: "a", times: 256 } }, 128],
  ["text of 65535 bytes", { text: { repeat: "a", times: 65535 } }, 128],
  ["text of 65536 bytes", { text: { repeat: "a", times: 65536 } }, 128],
  ["compound of more than 65536 bytes", { list: [{ text: { repeat: "a", times: 65536 } }, { text: "a" }] }, 64, { context: NAMES }],
];

function broken(name: string, value: IndexedValue, note: string): Vector<BlindIndexVector> {
  const { indexKey: key, ...named } = keyOf({});
  return { name, ...named, indexKey: hex(key), value, bits: 128, error: "invalid-argument", breaks: "M-67", note };
}

const BROKEN: readonly Vector<BlindIndexVector>[] = [
  broken("lone surrogate", { text: "\ud800" }, "half of a pair is no text"),
  broken("empty list", { list: [] }, "nothing to find"),
  broken("NaN", { binary64: "7ff8000000000000" }, "equal to nothing, itself included"),
  broken("infinity", { binary64: "7ff0000000000000" }, "not finite"),
  broken("negative infinity", { binary64: "fff0000000000000" }, "not finite"),
  broken("NaN in a list", { list: [{ number: 1 }, { binary64: "7ff8000000000000" }] }, "one bad value is enough"),
  broken("lone surrogate in a list", { list: [{ text: "a" }, { text: "\udc00" }] }, "one bad value is enough"),
];
