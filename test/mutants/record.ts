import { malformed, numberIn, type Refused as Refusal, Refused } from "./failure.ts";
import type { Slip } from "./slips.ts";

export interface ReadRecipient {
  readonly provider: string;
  readonly keyId: string;
  readonly alg: number;
  readonly wrapped: Uint8Array;
}

export interface ReadRecord {
  readonly keyCommit: Uint8Array;
  readonly recipients: readonly ReadRecipient[];
  /** Where the item ended. */
  readonly end: number;
}

/** docs/format.md §3, §7: the item that begins at `start` and must end before `limit`. */
export function readRecord(bytes: Uint8Array, start: number, limit: number, slip: Slip | undefined): ReadRecord {
  let at = start;
  const take = (length: number): Uint8Array => {
    if (at + length > limit) throw malformed();
    at += length;
    return bytes.subarray(at - length, at);
  };
  const head = (major: number): number => {
    const [first = 0] = take(1);
    if (first >> 5 !== major) throw malformed();
    const info = first & 31;
    if (info < 24) return info;
    if (info > 26) throw malformed();
    const value = numberIn(take(2 ** (info - 24)));
    const least = info === 24 ? 24 : info === 25 ? 2 ** 8 : 2 ** 16;
    if (value < least && slip !== "cbor-long-heads") throw malformed();
    return value;
  };
  const within = (major: number, least: number, most: number): number => {
    const value = head(major);
    if (value < least || value > most) throw malformed();
    return value;
  };
  const text = (least: number, most: number): string => {
    const utf8 = take(within(3, least, most));
    try {
      return new TextDecoder("utf-8", { fatal: slip !== "cbor-loose-text", ignoreBOM: true }).decode(utf8);
    } catch {
      throw malformed();
    }
  };
  const tooLong = (): Refusal | undefined => (limit - start > 65536 && slip !== "record-any-length" ? malformed() : undefined);

  if (slip === "length-before-suite" && tooLong() !== undefined) throw malformed();
  within(4, 3, 3);
  if (head(0) !== 1) throw new Refused("unsupported-version");
  if (tooLong() !== undefined) throw malformed();
  const keyCommit = take(within(2, 32, 32));
  const recipients: ReadRecipient[] = [];
  for (let left = within(4, 1, 16); left > 0; left--) {
    within(4, 4, 4);
    const provider = text(1, 32);
    if (!/^[a-z0-9-]+$/.test(provider) && slip !== "provider-any-text") throw malformed();
    if (provider.endsWith("\n")) throw malformed();
    const keyId = text(1, 512);
    const alg = head(0);
    if (slip === "unknown-alg-malformed" && (alg < 1 || alg > 10)) throw malformed();
    recipients.push({ provider, keyId, alg, wrapped: take(within(2, 1, 4096)) });
  }
  return { keyCommit, recipients, end: at };
}
