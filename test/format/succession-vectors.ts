import { DATA_KEY, OTHER_DATA_KEY, OTHER_TENANT, run, TENANT } from "./material.ts";
import { type FormatError, hex, type Vector, type VectorFile } from "./vector-file.ts";
import { derive, encodeContext, join, type Pair, type Part, proofParts, successionMac, successionParts } from "./writer.ts";

/** docs/format.md §3.2 */
export interface SuccessionVector {
  /** The data key of the version before. */
  readonly dataKey: string;
  readonly keyContext: readonly Pair[];
  readonly version: number;
  readonly kid: string;
  readonly createdAtMs: number;
  readonly proof: string;
}

export function successionVectors(): VectorFile<SuccessionVector> {
  return {
    about: "docs/format.md §3.2: proofs of stored data keys. `dataKey` is that of the version before, the rest is of the new version.",
    shared: {},
    vectors: [...GOOD.map(good), ...BROKEN],
  };
}

function good([name, claim, items]: GoodCase): Vector<SuccessionVector> {
  return { name, ...shown(claim), proof: hex(join(proofParts(items(macOf(claim))))) };
}

function broken(
  name: string,
  error: FormatError,
  breaks: string,
  note: string,
  proof: Uint8Array,
  claim: Claim = {},
): Vector<SuccessionVector> {
  return { name, ...shown(claim), proof: hex(proof), error, breaks, note };
}

interface Claim {
  readonly dataKey?: Uint8Array;
  readonly keyContext?: readonly Pair[];
  readonly version?: number;
  readonly createdAtMs?: number;
  readonly kid?: Uint8Array;
}

function shown({
  dataKey = DATA_KEY,
  keyContext = TENANT,
  version = 2,
  createdAtMs = CREATED_AT_MS,
  kid = kidIn(keyContext),
}: Claim): Omit<SuccessionVector, "proof"> {
  return { dataKey: hex(dataKey), keyContext, version, kid: hex(kid), createdAtMs };
}

function messageOf({ keyContext = TENANT, version = 2, createdAtMs = CREATED_AT_MS, kid = kidIn(keyContext) }: Claim): readonly Part[] {
  return successionParts(version, kid, createdAtMs, encodeContext(keyContext));
}

function macOf(claim: Claim): Uint8Array {
  return successionMac(claim.dataKey ?? DATA_KEY, messageOf(claim));
}

function kidIn(keyContext: readonly Pair[]): Uint8Array {
  return derive(OTHER_DATA_KEY, encodeContext(keyContext)).kid;
}

/** Noon of a day in 2026. */
const CREATED_AT_MS = 1_795_392_000_123;
const INDEXES: readonly Pair[] = [...TENANT, ["envelock:purpose", "blind-indexes"]];

type Item = readonly [kind: number, content: Uint8Array];
type GoodCase = readonly [name: string, claim: Claim, items: (mac: Uint8Array) => readonly Item[]];

const alone = (mac: Uint8Array): readonly Item[] => [[1, mac]];
const GOOD: readonly GoodCase[] = [
  ["example", {}, alone],
  ["version 3", { version: 3 }, alone],
  ["the largest version", { version: 2 ** 32 - 1 }, alone],
  ["created at 0", { createdAtMs: 0 }, alone],
  ["created at the largest time", { createdAtMs: 2 ** 53 - 1 }, alone],
  ["another data key before", { dataKey: OTHER_DATA_KEY, kid: run(0x10, 16) }, alone],
  ["no key context", { keyContext: [] }, alone],
  ["another purpose", { keyContext: INDEXES }, alone],
  [
    "an item of a later kind",
    {},
    (mac) => [
      [1, mac],
      [2, run(0, 64)],
    ],
  ],
  [
    "items of an application, one empty",
    {},
    (mac) => [
      [1, mac],
      [128, run(0, 0)],
      [255, run(0, 3)],
    ],
  ],
];

const MAC: Uint8Array = macOf({});
const PROOF: Uint8Array = join(proofParts([[1, MAC]]));
const refused = "authentication-failed";
const malformed = "malformed-envelope";

const BROKEN: readonly Vector<SuccessionVector>[] = [
  broken("no proof", refused, "M-102", "a version above 1 needs one", run(0, 0)),
  broken("a later kind alone", refused, "M-102", "it does not stand for the MAC", join(proofParts([[2, MAC]]))),
  broken("first bit of the MAC changed", refused, "M-102", "the MAC does not fit", changed(PROOF, 3, 0x80)),
  broken("last bit of the MAC changed", refused, "M-102", "the MAC does not fit", changed(PROOF, PROOF.length - 1, 0x01)),
  broken("proof of another version", refused, "M-102", "moved from version 2 to 3", PROOF, { version: 3 }),
  broken("proof of another time", refused, "M-105", "made to look older by a millisecond", PROOF, { createdAtMs: CREATED_AT_MS - 1 }),
  broken("proof of another time, by 2^32 ms", refused, "M-105", "made to look older", PROOF, { createdAtMs: CREATED_AT_MS - 2 ** 32 }),
  broken("proof of another data key", refused, "M-102", "moved to another kid", PROOF, { kid: run(0x10, 16) }),
  broken("proof of another key context", refused, "M-102", "moved to another tenant", PROOF, {
    keyContext: OTHER_TENANT,
    kid: kidIn(TENANT),
  }),
  broken("proof of another purpose", refused, "M-102", "moved to the keys of indexes", PROOF, { keyContext: INDEXES, kid: kidIn(TENANT) }),
  broken("proof by another version before", refused, "M-102", "made by someone without it", PROOF, { dataKey: OTHER_DATA_KEY }),
  broken("head cut short", malformed, "M-104", "2 bytes of 3", PROOF.subarray(0, 2)),
  broken("content cut short", malformed, "M-104", "31 bytes of 32", PROOF.subarray(0, -1)),
  broken(
    "one byte over",
    malformed,
    "M-104",
    "the head of an item that is not there",
    join([
      ["proof", PROOF],
      ["over", run(2, 1)],
    ]),
  ),
  broken("MAC of 31 bytes", malformed, "M-104", "the length says so too", join(proofParts([[1, MAC.subarray(0, 31)]]))),
  broken("MAC of 64 bytes", malformed, "M-104", "not cut", join(proofParts([[1, run(0, 64)]]))),
  broken(
    "two MACs",
    malformed,
    "M-104",
    "a kind stands once",
    join(
      proofParts([
        [1, MAC],
        [1, MAC],
      ]),
    ),
  ),
  broken(
    "kinds that go down",
    malformed,
    "M-104",
    "2 before 1",
    join(
      proofParts([
        [2, run(0, 1)],
        [1, MAC],
      ]),
    ),
  ),
  broken(
    "kind 0",
    malformed,
    "M-104",
    "kinds begin at 1",
    join(
      proofParts([
        [0, run(0, 1)],
        [1, MAC],
      ]),
    ),
  ),
  broken(
    "too long",
    malformed,
    "M-104",
    "16,385 bytes",
    join(
      proofParts([
        [1, MAC],
        [2, run(0, 16_385 - 38)],
      ]),
    ),
  ),
];

function changed(bytes: Uint8Array, at: number, bits: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ bits;
  return copy;
}

/** What the message of the examples is made of: the new version is that of another data key. */
export const SUCCESSION_MESSAGE: readonly Part[] = messageOf({});
