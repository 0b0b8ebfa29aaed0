import type { Pkcs11TokenOptions } from "./options.ts";
import { ThreadKeys } from "./thread/thread-keys.ts";
import { ThisThreadKeys, type TokenKeys, type TokenKeysOptions } from "./token-keys.ts";

/** The keys of a token, in the thread that the caller has chosen. */
export function keysInThread(options: TokenKeysOptions, { thread = false, pin }: Pkcs11TokenOptions): TokenKeys {
  return thread ? new ThreadKeys(options, pin) : ThisThreadKeys.open(options, pin);
}
