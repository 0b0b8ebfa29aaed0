import type { DataKeyStore, StoredDataKey } from "../../src/core/contracts/data-key-store.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import type { KeyringOptions } from "../../src/core/keyring/keyring-options.ts";
import { DataKeys } from "../../src/fields/data-keys.ts";
import type { DataKeysOptions } from "../../src/fields/data-keys-options.ts";
import { memoryStore } from "../../src/fields/stores/memory.ts";
import { type FakeClock, fakeClock } from "../support/fake-clock.ts";
import { kek, type WatchedProvider, watched } from "../support/keks.ts";

export const EMAIL = { table: "users", column: "email" } as const;

export interface World {
  readonly store: DataKeyStore;
  readonly clock: FakeClock;
  readonly kms: WatchedProvider;
  /** What another process would do: a keyring and data keys of its own, over the same store and key service. */
  open(options?: Partial<DataKeysOptions>, keyring?: Partial<KeyringOptions>): DataKeys;
  rows(scope?: string): Promise<readonly StoredDataKey[]>;
}

/** One store, one key service, one clock, and as many processes as a test opens. */
export function world(store: DataKeyStore = memoryStore()): World {
  const clock = fakeClock();
  const kms = watched(kek());
  return {
    store,
    clock,
    kms,
    open: (options = {}, keyring = {}) =>
      new DataKeys({ keyring: new Keyring({ wrapWith: [kms], clock, ...keyring }), store, clock, ...options }),
    rows: (scope = "") => store.list(scope),
  };
}
