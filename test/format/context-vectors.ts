import { sha256 } from "@noble/hashes/sha2.js";
import { hex, pairsOf, type Vector, type VectorFile, type VectorPairs } from "./vector-file.ts";
import { encodeContext } from "./writer.ts";

/** docs/format.md §2 */
export interface ContextVector {
  readonly keyContext: VectorPairs;
  /** What the value adds. */
  readonly context: VectorPairs;
  readonly bytes?: number;
  /** The encoded value context; long ones by their hash alone. */
  readonly encoded?: string;
  readonly sha256?: string;
}

export function contextVectors(): VectorFile<ContextVector> {
  return {
    about: "docs/format.md §2: encoded value contexts, made of a key context and what the value adds.",
    shared: {},
    vectors: [...GOOD.map(answered), ...BROKEN],
  };
}

function answered([name, keyContext, context]: readonly [string, VectorPairs, VectorPairs]): Vector<ContextVector> {
  const merged = new Map([...pairsOf(keyContext), ...pairsOf(context)]);
  const bytes = encodeContext([...merged]);
  const long = bytes.length > 400;
  return {
    name,
    keyContext,
    context,
    bytes: bytes.length,
    ...(long ? {} : { encoded: hex(bytes) }),
    sha256: hex(sha256(bytes)),
  };
}

function broken(name: string, breaks: string, note: string, keyContext: VectorPairs, context: VectorPairs): Vector<ContextVector> {
  return { name, keyContext, context, error: "invalid-argument", breaks, note };
}

function numbered(from: number, to: number): VectorPairs {
  return Array.from({ length: to - from }, (_, at) => [`k${String(from + at).padStart(2, "0")}`, ""]);
}

/** One pair that encodes to `bytes`. */
function filling(bytes: number): VectorPairs {
  return [["k", { repeat: "v", times: bytes - 7 }]];
}

const ASTRAL_KEY = "\u{1f600}";
const BMP_HIGH_KEY = "\uff5e";

const GOOD: readonly (readonly [name: string, keyContext: VectorPairs, context: VectorPairs])[] = [
  ["empty", [], []],
  ["one pair", [["tenant", "acme"]], []],
  ["one pair of the value", [], [["object", "invoices/7.pdf"]]],
  ["example", [["tenant", "acme"]], [["object", "invoices/7.pdf"]]],
  [
    "sorted whatever the order of the caller",
    [],
    [
      ["z", "1"],
      ["a", "2"],
      ["m", "3"],
    ],
  ],
  [
    "key context and value context interleave",
    [
      ["b", "1"],
      ["d", "2"],
    ],
    [
      ["c", "3"],
      ["a", "4"],
      ["e", "5"],
    ],
  ],
  [
    "one key in both, equal values",
    [["tenant", "acme"]],
    [
      ["tenant", "acme"],
      ["row", "7"],
    ],
  ],
  [
    "a prefix before what it begins",
    [],
    [
      ["ab", "1"],
      ["a", "2"],
      ["abc", "3"],
    ],
  ],
  [
    "digits sort as text",
    [],
    [
      ["9", "nine"],
      ["10", "ten"],
      ["1", "one"],
    ],
  ],
  ["empty value", [], [["deleted", ""]]],
  [
    "keys that languages treat apart",
    [],
    [
      ["__proto__", "1"],
      ["constructor", "2"],
      ["toString", "3"],
    ],
  ],
  [
    "two, three and four bytes of UTF-8",
    [],
    [
      ["stra\u00dfe", "\u20ac"],
      ["\u{10348}", "\u{1f600}"],
    ],
  ],
  [
    "astral after BMP-high",
    [],
    [
      [ASTRAL_KEY, "astral"],
      [BMP_HIGH_KEY, "bmp"],
    ],
  ],
  [
    "astral after BMP-high, first common",
    [],
    [
      [`k${ASTRAL_KEY}`, "astral"],
      [`k${BMP_HIGH_KEY}`, "bmp"],
    ],
  ],
  [
    "U+10000 after U+E000 and U+FFFF",
    [],
    [
      ["\u{10000}", "1"],
      ["\uffff", "2"],
      ["\ue000", "3"],
      ["\ud7ff", "4"],
    ],
  ],
  ["no normalisation: composed", [], [["name", "caf\u00e9"]]],
  ["no normalisation: decomposed", [], [["name", "cafe\u0301"]]],
  ["white space, NUL and a byte-order mark stay", [], [[" k\u0000 ", "\ufeff v\n"]]],
  ["lengths count bytes, not characters", [], [["\u{1f600}\u{1f600}", "\u{1f600}"]]],
  ["text that looks like the encoding", [], [["a", "b\u0000\u0001c\u0000\u0001d"]]],
  ["64 pairs", numbered(0, 64), []],
  ["64 pairs together", numbered(0, 40), numbered(24, 64)],
  ["8192 bytes", filling(8192), []],
  [
    "8192 bytes together",
    filling(4096),
    [
      ["l", { repeat: "\u20ac", times: 1362 }],
      ["m", ""],
    ],
  ],
];

const BROKEN: readonly Vector<ContextVector>[] = [
  broken("lone high surrogate as a value", "M-10", "U+D800 with nothing after it", [], [["k", "\ud800"]]),
  broken("lone low surrogate as a value", "M-10", "U+DC00 with nothing before it", [], [["k", "\udc00"]]),
  broken("lone surrogate in the middle", "M-10", "U+D83D before a letter", [], [["k", "a\ud83db"]]),
  broken("surrogates the wrong way round", "M-10", "low before high", [], [["k", "\ude00\ud83d"]]),
  broken("high surrogate before a pair", "M-10", "U+D83D, then U+1F600", [], [["k", "\ud83d\u{1f600}"]]),
  broken("high surrogate at the end", "M-10", "a whole pair, then half of one", [], [["k", "\u{1f600}\ud83d"]]),
  broken("high surrogate before U+E000", "M-10", "U+E000 is no low surrogate", [], [["k", "\ud800\ue000"]]),
  broken("lone surrogate as a key", "M-10", "U+DFFF", [], [["\udfff", "v"]]),
  broken("lone surrogate in the key context", "M-10", "U+D800", [["k", "\ud800"]], []),
  broken("empty key", "M-11", "with a value", [], [["", "v"]]),
  broken(
    "empty key in the key context",
    "M-11",
    "beside another",
    [
      ["a", "1"],
      ["", ""],
    ],
    [],
  ),
  broken("65 pairs", "M-12", "one too many", [], numbered(0, 65)),
  broken("65 pairs in the key context", "M-12", "one too many", numbered(0, 65), []),
  broken("65 pairs together", "M-12", "33 and 32", numbered(0, 33), numbered(33, 65)),
  broken("8193 bytes", "M-13", "one too many", [], filling(8193)),
  broken("8193 bytes in the key context", "M-13", "one too many", filling(8193), []),
  broken("8193 bytes together", "M-13", "each half is short enough", filling(4096), [["l", { repeat: "v", times: 4092 }]]),
  broken("over 8192 bytes but fewer characters", "M-13", "2731 characters of three bytes", [], [["k", { repeat: "\u20ac", times: 2731 }]]),
  broken("a length that no u16 holds", "M-13", "65536 bytes", [], [["k", { repeat: "v", times: 65536 }]]),
  broken("one key, two values", "M-14", "tenant is acme and globex", [["tenant", "acme"]], [["tenant", "globex"]]),
  broken("one key, an empty value", "M-14", "tenant is acme and empty", [["tenant", "acme"]], [["tenant", ""]]),
];
