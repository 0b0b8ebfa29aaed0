import type { DataKeyStore, StoredDataKey } from "../../../src/field/data-key-store.ts";
import { DataKeys, type DataKeysOptions } from "../../../src/field/data-keys.ts";
import { memoryStore } from "../../../src/field/stores/memory.ts";
import { Keyring } from "../../../src/keyring.ts";
import type { KeyringOptions } from "../../../src/keyring-options.ts";
import { kek, type WatchedProvider, watched } from "../../keks.ts";
import { type FakeClock, fakeClock } from "../resilience/fake-clock.ts";

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
      new DataKeys({ keyring: new Keyring({ wrapWith: [kms], clock, ...keyring }), store, clock, wallTime: clock.now, ...options }),
    rows: (scope = "") => store.list(scope),
  };
}
