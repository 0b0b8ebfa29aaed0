import { randomBytes } from "node:crypto";
import type { KeyProvider, Recipient, WrapOptions } from "../../../src/core/contracts/key-provider.ts";

/** Wraps a fresh data key, or the one that is given. The wrappings of this service take no AAD. */
export async function wrapOne(provider: KeyProvider, dek: Uint8Array = randomBytes(32), signal?: AbortSignal): Promise<Recipient> {
  return await provider.wrap(dek, optionsWith(signal));
}

export async function unwrapOne(provider: KeyProvider, recipient: Recipient, signal?: AbortSignal): Promise<Uint8Array> {
  return await provider.unwrap(recipient, optionsWith(signal));
}

export function versionOf({ keyId }: Recipient): string {
  return keyId.slice(-32);
}

/** Lets what is on its way over a loopback connection arrive. What never does ends in the test's own time limit. */
export async function settle(isSettled: () => boolean): Promise<void> {
  while (!isSettled()) await new Promise((resolve) => setTimeout(resolve, 2));
}

function optionsWith(signal: AbortSignal | undefined): WrapOptions {
  return { keyContext: {}, wrapAad: () => new Uint8Array(), ...(signal && { signal }) };
}
