import { copyOf, isBytes, isTextOfAtMost, type OwnedBytes, wipe } from "../base/bytes.ts";
import type { KeyContext } from "../base/context.ts";
import { EnvelockError } from "../base/errors.ts";
import { CALL_SIGNAL, type CallSignal } from "../contracts/call-signal.ts";
import type { KeyProvider, Recipient, WrapOptions } from "../contracts/key-provider.ts";
import { DATA_KEY_BYTES } from "../contracts/suite.ts";
import { encodeWrapAad } from "../format/key-record.ts";
import { MAX_KEY_ID_BYTES, MAX_WRAPPED_BYTES } from "../format/recipient.ts";

// The arguments that the core hands to a provider, and the checks of its results.

export function wrapOptions(provider: KeyProvider, keyContext: KeyContext, call: CallSignal): WrapOptions {
  return call.carriedBy({
    keyContext: keyContext.map,
    wrapAad: (keyId: string) => encodeWrapAad(provider.name, keyId, keyContext.bytes),
    [CALL_SIGNAL]: call,
    get signal() {
      return call.signal;
    },
  });
}

/**
 * Checks a recipient that a provider reports. It goes on the wire for years, so one that could not be read back is refused now.
 *
 * @throws `provider-failure`
 */
export function checkedRecipient(provider: KeyProvider, recipient: Recipient): Recipient {
  const { keyId, alg, wrapped } = recipient;
  if (recipient.provider !== provider.name) throw brokenContract(provider, "wrap named another provider");
  if (!provider.owns(keyId)) throw brokenContract(provider, "wrap named a key id that the provider does not own");
  if (!isTextOfAtMost(MAX_KEY_ID_BYTES, keyId))
    throw brokenContract(provider, `a key id has 1 to ${MAX_KEY_ID_BYTES} bytes of well-formed text`);
  if (!Number.isInteger(alg) || alg < 1 || alg > 0xffffffff) throw brokenContract(provider, "alg must be a positive 32-bit integer");
  if (!isBytes(wrapped) || wrapped.length < 1 || wrapped.length > MAX_WRAPPED_BYTES) {
    throw brokenContract(provider, `a wrapped key has 1 to ${MAX_WRAPPED_BYTES} bytes`);
  }
  return { provider: provider.name, keyId, alg, wrapped: copyOf(wrapped) };
}

/**
 * Takes ownership of a data key, or of bytes that become one. The array that the provider returned is wiped.
 *
 * @throws `provider-failure` if it does not have 32 bytes
 */
export function takenSecret(provider: Named, call: "unwrap" | "randomBytes", secret: Uint8Array): OwnedBytes {
  if (!isBytes(secret) || secret.length !== DATA_KEY_BYTES) {
    discardSecret(secret);
    throw brokenContract(provider, `${call} must give ${DATA_KEY_BYTES} bytes`);
  }
  const owned = copyOf(secret);
  wipe(secret);
  return owned;
}

/** Wipes the result of a provider that comes after the wait for it has ended. */
export function discardSecret(secret: unknown): void {
  if (isBytes(secret)) wipe(secret);
}

/** Returns the provider's own error, or wraps any other value that it threw in one of the library's. */
export function providerError(provider: Named, error: unknown): EnvelockError {
  if (error instanceof EnvelockError) return error;
  return new EnvelockError("provider-failure", `provider ${provider.name} failed with an error of its own`, { cause: error });
}

/** A provider, or a source of randomness. */
type Named = Pick<KeyProvider, "name">;

function brokenContract(provider: Named, message: string): EnvelockError {
  return new EnvelockError("provider-failure", `provider ${provider.name}: ${message}`);
}
