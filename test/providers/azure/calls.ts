import { randomBytes } from "node:crypto";
import type { KeyProvider, Recipient, WrapOptions } from "../../../src/key-provider.ts";

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

/** Lets everything that is on its way over a loopback connection arrive. */
export async function settle(isSettled: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1000 && !isSettled(); turn++) await new Promise((resolve) => setTimeout(resolve, 2));
}

function optionsWith(signal: AbortSignal | undefined): WrapOptions {
  return { keyContext: {}, wrapAad: () => new Uint8Array(), ...(signal && { signal }) };
}
