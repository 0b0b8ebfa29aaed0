import { isBytes, type OwnedBytes, viewOf } from "../../src/core/base/bytes.ts";
import { callSignal } from "../../src/core/base/call-options.ts";
import { type Context, KeyContext } from "../../src/core/base/context.ts";
import { EnvelockError, invalidArgument } from "../../src/core/base/errors.ts";
import type { OptionNames } from "../../src/core/base/options.ts";
import type { Recipient, WrapOptions } from "../../src/core/contracts/key-provider.ts";
import { ENVELOPE_HEAD, parseDetachedHeader, prepareHeader } from "../../src/core/format/envelope.ts";
import { encodeKeyRecord, encodeWrapAad, type KeyRecord, parseKeyRecord } from "../../src/core/format/key-record.ts";
import type { DoubleKey, Half } from "./both-of.ts";

export interface RewrapHalfOptions {
  readonly key: DoubleKey;
  /** The half that is wrapped anew. Only its key is called. */
  readonly half: Half;
  /** The key context: all pairs that are fixed for the data key, those of the keyring included. */
  readonly keyContext?: Context;
  readonly signal?: AbortSignal;
}

/**
 * Wraps one half of each double-key recipient of a key record, or of a detached header, anew. Calls the key of that half alone, once to
 * unwrap and once to wrap, so it can be done while the other key is away. Other recipients, the other half and the data key stay.
 *
 * This is no revocation: a copy of the old half still opens together with the other half. The data key is not seen, so whether it meets
 * the record is found out by the next reader. Makes one attempt: the caller retries what is retryable.
 *
 * @returns the new key record or header in its own ArrayBuffer
 * @throws `malformed-envelope`, `unsupported-version`, `invalid-argument`; `no-matching-provider` if no recipient is of this key; the codes of
 *   the half's `wrap` and `unwrap`
 * @example
 * ```ts
 * import { type DoubleKey, rewrapHalf } from "envelock/providers/composite";
 *
 * // After the tenant has rotated its key, without a call of the vendor's.
 * export async function renewed(key: DoubleKey, keyRecord: Uint8Array): Promise<Uint8Array> {
 *   return await rewrapHalf(keyRecord, { key, half: "tenant", keyContext: { tenant: "acme" } });
 * }
 * ```
 */
export async function rewrapHalf(keyRecordOrHeader: Uint8Array, options: RewrapHalfOptions): Promise<OwnedBytes> {
  const signal = callSignal(options, REWRAP_OPTIONS, "rewrapHalf");
  const { key, half } = options;
  if (typeof key?.rewrapHalf !== "function") throw invalidArgument("key must be a double key", "`bothOf` makes one.");
  const keyContext = new KeyContext(options.keyContext);
  if (!isBytes(keyRecordOrHeader)) throw invalidArgument("rewrapHalf takes the bytes of a key record or a detached header");
  const bytes = viewOf(keyRecordOrHeader);
  const wrapOptions: WrapOptions = {
    keyContext: keyContext.map,
    wrapAad: (keyId) => encodeWrapAad(key.name, keyId, keyContext.bytes),
    ...(signal && { signal }),
  };
  const renew = (recipient: Recipient): Promise<Recipient> => key.rewrapHalf(recipient, half, wrapOptions);
  if (bytes[0] !== ENVELOPE_HEAD) return encodeKeyRecord(await renewed(parseKeyRecord(bytes), key, renew));
  const { record, headerBytes, paddingBytes } = parseDetachedHeader(bytes);
  const header = prepareHeader(await renewed(record, key, renew), paddingBytes > 0 ? headerBytes : 0);
  const written = new Uint8Array(header.headerBytes);
  header.write(written);
  return written;
}

async function renewed(record: KeyRecord, key: DoubleKey, renew: (recipient: Recipient) => Promise<Recipient>): Promise<KeyRecord> {
  const isOwn = ({ provider, keyId }: Recipient): boolean => provider === key.name && key.owns(keyId);
  if (!record.recipients.some(isOwn)) throw new EnvelockError("no-matching-provider", "no recipient names this double key");
  const recipients: Recipient[] = [];
  for (const recipient of record.recipients) recipients.push(isOwn(recipient) ? await renew(recipient) : recipient);
  return { ...record, recipients };
}

const REWRAP_OPTIONS: OptionNames<RewrapHalfOptions> = { key: true, half: true, keyContext: true, signal: true };
