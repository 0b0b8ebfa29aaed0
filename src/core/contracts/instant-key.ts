import type { OwnedBytes } from "../base/bytes.ts";
import type { KeyProvider, Recipient, WrapOptions } from "./key-provider.ts";

/**
 * A key in this process, which answers at once. It spares the core what a call to a service needs: promises, a place in line, a deadline.
 * Whatever it does not do at once, the provider's own methods do, and say what is wrong.
 */
export interface InstantKey {
  /** Wraps a data key like `KeyProvider.wrap`, or returns undefined. The array of `wrapAad` is shared: read only. */
  wrapNow(dek: Uint8Array, wrapAad: WrapOptions["wrapAad"]): Recipient | undefined;
  /** Unwraps like `KeyProvider.unwrap`, or returns undefined. */
  unwrapNow(recipient: Recipient, wrapAad: WrapOptions["wrapAad"]): OwnedBytes | undefined;
}

/** Registers the instant key of a provider. @returns the provider */
export function withInstantKey<P extends KeyProvider>(provider: P, key: InstantKey): P {
  const { wrap, unwrap } = provider;
  INSTANT.set(provider, { key, wrap, unwrap });
  return provider;
}

/**
 * Returns the instant key of this very object. A provider made from it, such as `{ ...provider, wrap }`, is another provider, and so is one
 * whose methods were replaced: its own methods count.
 */
export function instantKeyOf(provider: KeyProvider): InstantKey | undefined {
  const known = INSTANT.get(provider);
  return known !== undefined && provider.wrap === known.wrap && provider.unwrap === known.unwrap ? known.key : undefined;
}

interface Registered extends Pick<KeyProvider, "wrap" | "unwrap"> {
  readonly key: InstantKey;
}

// a property would be copied to providers that are made from this one
const INSTANT = new WeakMap<KeyProvider, Registered>();
