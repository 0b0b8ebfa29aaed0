import { localKey } from "../../providers/local/index.ts";
import type { KeyProvider } from "../../src/core/contracts/key-provider.ts";
import { noise } from "./arbitraries.ts";

/** A local KEK; the same `keyId` is the same key. */
export function kek(keyId = "k1"): KeyProvider {
  return localKey({ keyId, key: noise(32, keyId) });
}

export interface WatchedProvider extends KeyProvider {
  /** The calls made so far that could have reached a backend, by name. */
  readonly calls: string[];
}

/** `inner`, counted, with some of its methods replaced. */
export function watched(inner: KeyProvider, replaced: Partial<KeyProvider> = {}): WatchedProvider {
  const calls: string[] = [];
  const { name, owns, wrap, unwrap, current, close } = { ...inner, ...replaced };
  return {
    name,
    calls,
    owns,
    wrap(dek, options) {
      calls.push("wrap");
      return wrap(dek, options);
    },
    unwrap(recipient, options) {
      calls.push("unwrap");
      return unwrap(recipient, options);
    },
    async current(options) {
      calls.push("current");
      return (await current?.(options)) ?? "";
    },
    async close() {
      calls.push("close");
      await close?.();
    },
  };
}
