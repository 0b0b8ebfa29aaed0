import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, concatBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import { numberIn, Refused, unauthentic } from "./failure.ts";
import type { ReadRecipient } from "./record.ts";
import type { Slip } from "./slips.ts";

/** A configured key of algorithm 11 or 12, over keys that unwrap parts. */
export interface CompositeKek<K> {
  readonly kind: "both" | "threshold";
  readonly name: string;
  readonly needed: number;
  readonly keys: readonly K[];
}

interface NamedKey {
  readonly provider: string;
  readonly keyId: string;
}

type UnwrapPart<K> = (kek: K, recipient: ReadRecipient, aadKeyId: string) => Uint8Array;

/** docs/format.md §3.3. Throws if the recipient is refused. */
export function unwrapParts<K extends NamedKey>(
  kek: CompositeKek<K>,
  recipient: ReadRecipient,
  unwrapPart: UnwrapPart<K>,
  slip: Slip | undefined,
): Uint8Array {
  const item = itemOf(recipient.wrapped, slip);
  return kek.kind === "both" ? bothParts(kek, recipient, item, unwrapPart, slip) : thresholdParts(kek, recipient, item, unwrapPart, slip);
}

function bothParts<K extends NamedKey>(
  { name, keys }: CompositeKek<K>,
  { keyId }: ReadRecipient,
  item: Item,
  unwrapPart: UnwrapPart<K>,
  slip: Slip | undefined,
): Uint8Array {
  const halves = listOf(item).map(recipientOf);
  if (halves.length !== 2) throw unauthentic();
  const digest = sha256(concatBytes(utf8ToBytes("envelock/v1/both"), Uint8Array.of(0), ...halves.map(identityOf)));
  if (keyId !== `both:${name}:${bytesToHex(digest)}` && slip !== "parts-digest") throw unauthentic();
  const opened = halves.map((half, at) => {
    const kek = slip === "parts-anywhere" ? keys.find((other) => isOf(other, half)) : keys[at];
    if (kek === undefined || !isOf(kek, half)) throw unauthentic();
    return unwrapPart(kek, half, `both:${name}:${at + 1}:${half.keyId}`);
  });
  return (opened[0] ?? new Uint8Array(0)).map((byte, at) => byte ^ (opened[1]?.[at] ?? 0));
}

function thresholdParts<K extends NamedKey>(
  { name, needed: configured, keys }: CompositeKek<K>,
  { keyId }: ReadRecipient,
  item: Item,
  unwrapPart: UnwrapPart<K>,
  slip: Slip | undefined,
): Uint8Array {
  const [first, second, ...rest] = listOf(item);
  if (first === undefined || second === undefined || rest.length > 0) throw unauthentic();
  const needed = numberOf(first);
  const shares = listOf(second).map((share) => {
    const [x, inner, ...more] = listOf(share);
    if (x === undefined || inner === undefined || more.length > 0) throw unauthentic();
    return { x: numberOf(x), recipient: recipientOf(inner) };
  });
  const isOrdered = shares.every(({ x }, at) => x > (shares[at - 1]?.x ?? 0) && x < 256);
  if (!isOrdered && slip !== "share-any-place") throw unauthentic();
  if (shares.length < 2 || shares.length > 16 || needed > shares.length) throw unauthentic();
  if ((needed < 2 || needed !== configured) && slip !== "share-any-number") throw unauthentic();
  const identity = shares.map(({ x, recipient }) => concatBytes(Uint8Array.of(x), identityOf(recipient)));
  const digest = sha256(concatBytes(utf8ToBytes("envelock/v1/threshold"), Uint8Array.of(0, needed), ...identity));
  if (keyId !== `threshold:${name}:${bytesToHex(digest)}` && slip !== "parts-digest") throw unauthentic();
  const owned = keys.flatMap((kek) => shares.filter(({ recipient }) => isOf(kek, recipient)).map((share) => ({ ...share, kek })));
  if (new Set(owned.map(({ kek }) => kek)).size < owned.length && slip !== "parts-one-key") throw unauthentic();
  if (owned.length < needed) throw unauthentic();
  const points: { readonly x: number; readonly y: Uint8Array }[] = [];
  for (const { x, recipient, kek } of slip === "share-first-only" ? owned.slice(0, needed) : owned) {
    if (points.length === needed) break;
    try {
      points.push({ x, y: unwrapPart(kek, recipient, `threshold:${name}:${needed}:${x}:${recipient.keyId}`) });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
  }
  if (points.length < needed) throw unauthentic();
  return Uint8Array.from({ length: 32 }, (_, at) =>
    points.reduce((sum, { x, y }) => {
      const weight = points.reduce((product, other) => (other.x === x ? product : times(product, over(other.x, other.x ^ x))), 1);
      return sum ^ times(y[at] ?? 0, weight);
    }, 0),
  );
}

function isOf({ provider, keyId }: NamedKey, recipient: ReadRecipient): boolean {
  return recipient.provider === provider && recipient.keyId === keyId;
}

function identityOf({ provider, keyId }: ReadRecipient): Uint8Array {
  const [name, id] = [utf8ToBytes(provider), utf8ToBytes(keyId)];
  return concatBytes(Uint8Array.of(name.length), name, Uint8Array.of(id.length >> 8, id.length & 255), id);
}

/** §10.7, by a table of logarithms to the base 3. */
function times(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : (POWERS[((LOGARITHMS.get(a) ?? 0) + (LOGARITHMS.get(b) ?? 0)) % 255] ?? 0);
}

function over(a: number, b: number): number {
  return a === 0 ? 0 : (POWERS[((LOGARITHMS.get(a) ?? 0) + 255 - (LOGARITHMS.get(b) ?? 0)) % 255] ?? 0);
}

const POWERS: readonly number[] = Array.from({ length: 255 }, (_, exponent) => {
  let power = 1;
  for (let step = 0; step < exponent; step++) power ^= (power << 1) ^ (power >= 128 ? 0x11b : 0);
  return power;
});
const LOGARITHMS: ReadonlyMap<number, number> = new Map(POWERS.map((power, exponent) => [power, exponent]));

type Item = number | Uint8Array | string | readonly Item[];

/** One item of §7's profile, all of the bytes. */
function itemOf(bytes: Uint8Array, slip: Slip | undefined): Item {
  let at = 0;
  const take = (length: number): Uint8Array => {
    if (at + length > bytes.length) throw unauthentic();
    at += length;
    return bytes.subarray(at - length, at);
  };
  const next = (): Item => {
    const [first = 0] = take(1);
    const info = first & 31;
    if (info > 26) throw unauthentic();
    const value = info < 24 ? info : numberIn(take(2 ** (info - 24)));
    if (info >= 24 && value < (info === 24 ? 24 : 2 ** (4 * (info - 23)))) throw unauthentic();
    const major = first >> 5;
    if (major === 0) return value;
    if (major === 2) return take(value);
    if (major === 3) return textOf(take(value));
    if (major !== 4 || value > 16) throw unauthentic();
    return Array.from({ length: value }, next);
  };
  const item = next();
  if (at !== bytes.length && slip !== "parts-tail") throw unauthentic();
  return item;
}

function textOf(utf8: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(utf8);
  } catch {
    throw unauthentic();
  }
}

function listOf(item: Item): readonly Item[] {
  if (typeof item === "number" || typeof item === "string" || item instanceof Uint8Array) throw unauthentic();
  return item;
}

function numberOf(item: Item): number {
  if (typeof item !== "number") throw unauthentic();
  return item;
}

function recipientOf(item: Item): ReadRecipient {
  const [provider, keyId, alg, wrapped, ...more] = listOf(item);
  if (typeof provider !== "string" || typeof keyId !== "string" || typeof alg !== "number") throw unauthentic();
  if (!(wrapped instanceof Uint8Array) || more.length > 0) throw unauthentic();
  return { provider, keyId, alg, wrapped };
}
