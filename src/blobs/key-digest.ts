import { concatBytes, toHex, utf8 } from "../core/base/bytes.ts";
import { inspectEnvelope } from "../core/keyring/inspect.ts";

/** A key, as a recipient of an envelope names it. */
export interface BlobKey {
  readonly provider: string;
  readonly keyId: string;
}

/**
 * Computes what stands in an index for a key: 32 hex digits of SHA-256 over provider, a zero byte and key id. It hides nothing, because key
 * ids can be guessed; it fits every alphabet.
 */
export async function keyDigest({ provider, keyId }: BlobKey): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", concatBytes(utf8(provider), new Uint8Array(1), utf8(keyId)));
  return toHex(new Uint8Array(digest)).slice(0, 32);
}

/** Lists the keys that wrap the data key of a header. */
export function keysOf(header: Uint8Array): readonly BlobKey[] {
  return inspectEnvelope(header, header.length).recipients.map(({ provider, keyId }) => ({ provider, keyId }));
}

/** The digests of all keys of a header, each once. */
export async function keyDigestsOf(header: Uint8Array): Promise<readonly string[]> {
  return [...new Set(await Promise.all(keysOf(header).map(keyDigest)))];
}
