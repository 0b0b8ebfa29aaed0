import { sha256 } from "@noble/hashes/sha2.js";
import { concatBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import { DATA_KEY, OTHER_TENANT, run, TENANT } from "./material.ts";
import { hex, type Vector, type VectorFile } from "./vector-file.ts";
import {
  cborHead,
  encodeContext,
  join,
  type Pair,
  type Part,
  recipientParts,
  uint,
  type WrittenRecipient,
  wrapAadParts,
  wrapLocal,
} from "./writer.ts";

const KEKS: Readonly<Record<string, Uint8Array>> = Object.fromEntries(
  ["platform-1", "tenant-1", "officer-1", "officer-2", "officer-3"].map((id, at) => [id, run(0x11 * (at + 1), 32)]),
);
const BOTH: SharedComposites["both"] = { name: "acme", keys: ["platform-1", "tenant-1"] };
const THRESHOLD: SharedComposites["threshold"] = { name: "board", needed: 2, keys: ["officer-1", "officer-2", "officer-3"] };

export const PAD: Uint8Array = run(0x90, 32);

/** Algorithms 11 and 12 of docs/format.md §3.3 */
export interface CompositeVector {
  readonly alg: number;
  readonly keyId: string;
  readonly keyContext: readonly Pair[];
  readonly dataKey: string;
  readonly wrapped: string;
}

export interface SharedComposites {
  /** Keys of provider local and algorithm 1, by key id. */
  readonly keks: Readonly<Record<string, string>>;
  readonly both: { readonly name: string; readonly keys: readonly [string, string] };
  readonly threshold: { readonly name: string; readonly needed: number; readonly keys: readonly string[] };
}

export function compositeVectors(): VectorFile<CompositeVector, SharedComposites> {
  return {
    about: "docs/format.md §3.3: recipients of algorithms 11 and 12, whose parts are wrapped by algorithm 1 under keys of provider local.",
    shared: { keks: Object.fromEntries(Object.entries(KEKS).map(([id, kek]) => [id, hex(kek)])), both: BOTH, threshold: THRESHOLD },
    vectors: [...halves(), ...shares()],
  };
}

/** The recipient of the example. */
export function bothParts(): readonly Part[] {
  const given = twoHalves();
  return [["array of 2", cborHead(4, 2)], ...given.flatMap(recipientParts)];
}

interface PartWrap {
  readonly kekId: string;
  readonly secret: Uint8Array;
  /** Stands in the AAD in place of the outer name and place. */
  readonly place: string;
  readonly outer: "both" | "threshold";
  readonly keyContext?: readonly Pair[];
  readonly aadKeyId?: string;
}

function wrappedPart({ kekId, secret, place, outer, keyContext = TENANT, aadKeyId = `${place}:${kekId}` }: PartWrap): WrittenRecipient {
  const aad = join(wrapAadParts(outer, aadKeyId, encodeContext(keyContext)));
  return { provider: "local", keyId: kekId, alg: 1, wrapped: wrapLocal(KEKS[kekId] ?? new Uint8Array(32), run(0x40, 24), aad, secret) };
}

function twoHalves(change: (at: number, wrap: PartWrap) => PartWrap = (_, wrap) => wrap): readonly [WrittenRecipient, WrittenRecipient] {
  const half = (at: 1 | 2, secret: Uint8Array): WrittenRecipient => {
    const kekId = at === 1 ? "platform-1" : "tenant-1";
    return wrappedPart(change(at, { kekId, secret, place: `both:acme:${at}`, outer: "both" }));
  };
  return [
    half(1, PAD),
    half(
      2,
      DATA_KEY.map((byte, at) => byte ^ (PAD[at] ?? 0)),
    ),
  ];
}

function identityOf({ provider, keyId }: WrittenRecipient): Uint8Array {
  const [name, id] = [utf8ToBytes(provider), utf8ToBytes(keyId)];
  return concatBytes(uint(1, name.length), name, uint(2, id.length), id);
}

function bothKeyId(given: readonly WrittenRecipient[]): string {
  return `both:acme:${hex(sha256(concatBytes(utf8ToBytes("envelock/v1/both"), uint(1, 0), ...given.map(identityOf))))}`;
}

function halvesBytes(given: readonly WrittenRecipient[]): Uint8Array {
  return join([["array", cborHead(4, given.length)], ...given.flatMap(recipientParts)]);
}

function halves(): readonly Vector<CompositeVector>[] {
  const vector = (
    name: string,
    given: readonly WrittenRecipient[],
    more: Partial<Vector<CompositeVector>> = {},
  ): Vector<CompositeVector> => {
    const base = { alg: 11, keyId: bothKeyId(given), keyContext: TENANT, dataKey: hex(DATA_KEY), wrapped: hex(halvesBytes(given)) };
    return { name: `both: ${name}`, ...base, ...more };
  };
  const sound = twoHalves();
  const [first, second] = sound;
  const bytes = halvesBytes(sound);
  const refused = (name: string, breaks: string, note: string, given: readonly WrittenRecipient[], more: Partial<CompositeVector> = {}) =>
    vector(name, given, { error: "authentication-failed", breaks, note, ...more });
  const inPlace = (at: number, changed: Partial<PartWrap>) => twoHalves((place, wrap) => (place === at ? { ...wrap, ...changed } : wrap));
  const swapped = [
    wrappedPart({ kekId: "tenant-1", secret: PAD, place: "both:acme:1", outer: "both" }),
    wrappedPart({ kekId: "platform-1", secret: DATA_KEY.map((byte, at) => byte ^ (PAD[at] ?? 0)), place: "both:acme:2", outer: "both" }),
  ];
  return [
    vector("example", sound),
    vector(
      "no key context",
      twoHalves((_, wrap) => ({ ...wrap, keyContext: [] })),
      { keyContext: [] },
    ),
    refused("a byte after the halves", "M-106", "00", sound, { wrapped: hex(concatBytes(bytes, uint(1, 0))) }),
    refused("a byte short", "M-106", "the last half is cut", sound, { wrapped: hex(bytes.subarray(0, -1)) }),
    refused("three halves", "M-106", "an array of 3", [first, second, second]),
    refused("one half", "M-106", "an array of 1", [first]),
    refused("the digest of other versions", "M-107", "tenant-2", sound, { keyId: bothKeyId([first, { ...second, keyId: "tenant-2" }]) }),
    refused("the digest of the halves in the other order", "M-107", "2, 1", sound, { keyId: bothKeyId([second, first]) }),
    refused("halves in each other's place", "M-108", "each opens, under the key of the other place", swapped),
    refused("a half of a foreign key", "M-108", "officer-1", inPlace(2, { kekId: "officer-1" })),
    refused("a half of a foreign provider", "M-108", "azure-key-vault", [first, { ...second, provider: "azure-key-vault" }]),
    refused("a half of another algorithm", "M-72", "the key version is bound to algorithm 1", [first, { ...second, alg: 2 }]),
    refused("the AAD of the inner key alone", "M-109", "as a recipient by itself", inPlace(2, { aadKeyId: "tenant-1" })),
    refused("the AAD of the other place", "M-109", "1 in place of 2", inPlace(2, { place: "both:acme:1" })),
    refused("the AAD of another name", "M-109", "globex", inPlace(2, { place: "both:globex:2" })),
    refused("the AAD of another provider", "M-109", "local", inPlace(2, { outer: "threshold" })),
    refused("the AAD of another key context", "M-109", "the other tenant", inPlace(1, { keyContext: OTHER_TENANT })),
    refused("halves of two wraps", "M-38", "r of another wrap", inPlace(1, { secret: run(0x91, 32) })),
  ];
}

interface ShareWrap {
  readonly x: number;
  readonly kekId: string;
  readonly y: Uint8Array;
}

function shares(): readonly Vector<CompositeVector>[] {
  const slope = run(0x70, 32);
  const curve = run(0xb0, 32);
  const at = (x: number, kekId: string, coefficients: readonly Uint8Array[] = [slope]): ShareWrap => ({
    x,
    kekId,
    y: pointAt(x, coefficients),
  });
  const written = (
    given: readonly ShareWrap[],
    needed = 2,
    keyContext = TENANT,
    aadNeeded = needed,
  ): readonly [number, WrittenRecipient][] =>
    given.map(({ x, kekId, y }) => {
      return [x, wrappedPart({ kekId, secret: y, place: `threshold:board:${aadNeeded}:${x}`, outer: "threshold", keyContext })];
    });
  const vector = (
    name: string,
    given: readonly (readonly [number, WrittenRecipient])[],
    more: Partial<Vector<CompositeVector>> = {},
    needed = 2,
  ): Vector<CompositeVector> => {
    const identity = given.map(([x, recipient]) => concatBytes(uint(1, x & 0xff), identityOf(recipient)));
    const digest = sha256(concatBytes(utf8ToBytes("envelock/v1/threshold"), uint(1, 0), uint(1, needed), ...identity));
    const items = given.flatMap(([x, recipient]): Part[] => [
      ["array of 2", cborHead(4, 2)],
      ["x", cborHead(0, x)],
      ...recipientParts(recipient, 0),
    ]);
    const parts: readonly Part[] = [
      ["array of 2", cborHead(4, 2)],
      ["k", cborHead(0, needed)],
      ["shares", cborHead(4, given.length)],
      ...items,
    ];
    const base = {
      alg: 12,
      keyId: `threshold:board:${hex(digest)}`,
      keyContext: TENANT,
      dataKey: hex(DATA_KEY),
      wrapped: hex(join(parts)),
    };
    return { name: `threshold: ${name}`, ...base, ...more };
  };
  const refused = (
    name: string,
    breaks: string,
    note: string,
    given: readonly (readonly [number, WrittenRecipient])[],
    needed = 2,
    more: Partial<CompositeVector> = {},
  ): Vector<CompositeVector> => vector(name, given, { error: "authentication-failed", breaks, note, ...more }, needed);
  const three = [at(1, "officer-1"), at(2, "officer-2"), at(3, "officer-3")];
  const sound = vector("example", written(three));
  return [
    sound,
    vector("two shares", written(three.slice(1))),
    vector("shares in another order of keys, at other places", written([at(7, "officer-3"), at(200, "officer-1"), at(255, "officer-2")])),
    vector("no key context", written(three, 2, []), { keyContext: [] }),
    vector("a share of a key that is not configured", written([...three.slice(0, 2), at(9, "stranger")])),
    vector("a share that is refused, and enough others", [...written(three.slice(0, 1), 2, TENANT, 3), ...written(three.slice(1))]),
    refused("a byte after the shares", "M-106", "00", written(three), 2, { wrapped: `${sound.wrapped}00` }),
    refused("the digest of other shares", "M-107", "without the last", written(three), 2, {
      keyId: vector("", written(three.slice(0, 2))).keyId,
    }),
    refused("one share", "M-112", "2 is the least", written(three.slice(0, 1))),
    refused("a place that stands twice", "M-112", "1, 1", written([at(1, "officer-1"), at(1, "officer-2")])),
    refused("places that go down", "M-112", "2, 1", written([at(2, "officer-2"), at(1, "officer-1")])),
    refused("place 0", "M-112", "where the data key itself is", written([at(0, "officer-1"), at(1, "officer-2")])),
    refused("one that is needed", "M-112", "k 1", written([at(1, "officer-1", []), at(2, "officer-2", [])], 1), 1),
    refused(
      "three that are needed",
      "M-112",
      "the key is configured for 2",
      written(
        three.map(({ x, kekId }) => at(x, kekId, [slope, curve])),
        3,
      ),
      3,
    ),
    refused("more that are needed than there are", "M-112", "k 4", written(three, 4), 4),
    refused("two shares of one key", "M-108", "officer-1 at 1 and 2", written([at(1, "officer-1"), at(2, "officer-1")])),
    refused("too few shares of configured keys", "M-108", "one of two", written([at(1, "officer-1"), at(2, "stranger")])),
    refused("the AAD of another number", "M-109", "3 in place of 2", written(three, 2, TENANT, 3)),
    refused("shares of two wraps", "M-38", "another line", written([at(1, "officer-1"), at(2, "officer-2", [curve])])),
  ];
}

/** The polynomial at `x`, by a multiplication of its own. docs/format.md §10.7 */
function pointAt(x: number, coefficients: readonly Uint8Array[]): Uint8Array {
  return DATA_KEY.map((secret, at) =>
    coefficients.reduce((sum, coefficient, power) => sum ^ times(coefficient[at] ?? 0, toPower(x, power + 1)), secret),
  );
}

function toPower(x: number, power: number): number {
  return power === 0 ? 1 : times(toPower(x, power - 1), x);
}

/** A product of polynomials over GF(2), then its remainder. */
function times(a: number, b: number): number {
  let product = 0;
  for (let bit = 0; bit < 8; bit++) if ((b >> bit) & 1) product ^= a << bit;
  for (let bit = 14; bit >= 8; bit--) if ((product >> bit) & 1) product ^= 0x11b << (bit - 8);
  return product;
}

export const BOTH_KEY_ID: string = bothKeyId(twoHalves());
