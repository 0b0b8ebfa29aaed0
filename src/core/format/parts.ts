import { ascii, concatBytes, type OwnedBytes, utf8 } from "../base/bytes.ts";
import { malformed } from "../base/errors.ts";
import type { Recipient } from "../contracts/key-provider.ts";
import { headBytes, ProfileReader, ProfileWriter } from "./cbor.ts";
import { prepareRecipient, readRecipient } from "./recipient.ts";

// The wrapped keys of algorithms 11 and 12: parts of a data key, each wrapped under a key of its own. docs/format.md §3.3

/** A share of a data key, and its place: the x of Shamir's polynomial, 1 to 255. */
export interface Share {
  readonly x: number;
  readonly recipient: Recipient;
}

/** Shares of which `needed` make the data key, in ascending order of `x`. */
export interface Shares {
  readonly needed: number;
  readonly shares: readonly Share[];
}

export const MOST_SHARES = 16;

export function encodeHalves(halves: readonly [Recipient, Recipient]): OwnedBytes {
  const prepared = halves.map(prepareRecipient);
  return written(1 + prepared.reduce((bytes, half) => bytes + half.bytes, 0), (writer) => {
    writer.array(halves.length);
    for (const half of prepared) half.write(writer);
  });
}

/** @throws `malformed-envelope` */
export function parseHalves(wrapped: Uint8Array): readonly [Recipient, Recipient] {
  const reader = new ProfileReader(wrapped, 0, wrapped.length);
  reader.array("halves", 2, 2);
  const halves = [readRecipient(reader), readRecipient(reader)] as const;
  requireEnd(reader, wrapped);
  return halves;
}

export function encodeShares({ needed, shares }: Shares): OwnedBytes {
  const prepared = shares.map(({ x, recipient }) => ({ x, recipient: prepareRecipient(recipient) }));
  const bytes = prepared.reduce((sum, { x, recipient }) => sum + 1 + headBytes(x) + recipient.bytes, 1 + headBytes(needed));
  return written(bytes + headBytes(shares.length), (writer) => {
    writer.array(2);
    writer.uint(needed);
    writer.array(prepared.length);
    for (const { x, recipient } of prepared) {
      writer.array(2);
      writer.uint(x);
      recipient.write(writer);
    }
  });
}

/** @throws `malformed-envelope` also for an `x` of 0 or above 255, or not above the one before, and for a `needed` that cannot be met */
export function parseShares(wrapped: Uint8Array): Shares {
  const reader = new ProfileReader(wrapped, 0, wrapped.length);
  reader.array("shares", 2, 2);
  const needed = reader.uint("needed");
  const count = reader.array("shares", 2, MOST_SHARES);
  if (needed < 2 || needed > count) throw malformed(`needed is ${needed}, expected 2 to ${count}`);
  const shares: Share[] = [];
  let last = 0;
  for (let left = count; left > 0; left--) {
    reader.array("share", 2, 2);
    const x = reader.uint("x");
    if (x <= last || x > MAX_X) throw malformed(`x is ${x}, expected ${last + 1} to ${MAX_X}`);
    last = x;
    shares.push({ x, recipient: readRecipient(reader) });
  }
  requireEnd(reader, wrapped);
  return { needed, shares };
}

/** The bytes whose digest names the keys of two halves. */
export function halvesIdentity(halves: readonly KeyName[]): OwnedBytes {
  return concatBytes(BOTH_LABEL, ...halves.map(encodeName));
}

/** The bytes whose digest names the keys of shares, their places and how many are needed. */
export function sharesIdentity({ needed, shares }: { readonly needed: number; readonly shares: readonly ShareName[] }): OwnedBytes {
  const names = shares.map(({ x, recipient }) => concatBytes(Uint8Array.of(x), encodeName(recipient)));
  return concatBytes(THRESHOLD_LABEL, Uint8Array.of(needed), ...names);
}

type KeyName = Pick<Recipient, "provider" | "keyId">;

interface ShareName {
  readonly x: number;
  readonly recipient: KeyName;
}

/** `u8 length | provider | u16 length | keyId` */
function encodeName({ provider, keyId }: KeyName): OwnedBytes {
  const id = utf8(keyId);
  return concatBytes(Uint8Array.of(provider.length), ascii(provider), Uint8Array.of(id.length >> 8, id.length & 0xff), id);
}

function written(bytes: number, write: (writer: ProfileWriter) => void): OwnedBytes {
  const target = new Uint8Array(bytes);
  write(new ProfileWriter(target, 0));
  return target;
}

function requireEnd(reader: ProfileReader, wrapped: Uint8Array): void {
  if (reader.offset !== wrapped.length) throw malformed(`the parts are followed by ${wrapped.length - reader.offset} bytes`);
}

const MAX_X = 255;
const BOTH_LABEL: Uint8Array = concatBytes(ascii("envelock/v1/both"), new Uint8Array(1));
const THRESHOLD_LABEL: Uint8Array = concatBytes(ascii("envelock/v1/threshold"), new Uint8Array(1));
