import { equalPublicBytes } from "../../../src/core/base/bytes.ts";
import type { DataKeyStore, StoredDataKey } from "../../../src/core/contracts/data-key-store.ts";
import { memoryStore } from "../../../src/fields/stores/memory.ts";
import type { StoreConformanceHarness } from "../../../src/stores/conformance/index.ts";

/** A sound store with one fault, and the case that is there to notice it. Others may stumble over it too: they all store rows. */
export interface Mutant {
  readonly fault: string;
  readonly noticedBy: string;
  /** What replaces parts of the sound store; called for each store object that a case opens. */
  change(sound: DataKeyStore, backing: Backing): Partial<DataKeyStore>;
}

/** What all store objects of one harness share. */
export interface Backing {
  /** Whatever else a store leaves lying about. */
  readonly remains: Uint8Array[];
  isClosed: boolean;
}

/** A harness of sound store objects on one table in memory, or of mutants of them. */
export function harnessOf(change: Mutant["change"] = () => ({})): StoreConformanceHarness {
  const sound = memoryStore();
  const backing: Backing = { remains: [], isClosed: false };
  return {
    open: () => ({ ...sound, ...change(sound, backing) }),
    async holds(bytes) {
      const rows = await sound.scan({ limit: Number.POSITIVE_INFINITY });
      return [...backing.remains, ...rows.map(({ record }) => record ?? new Uint8Array(0))].some((held) => equalPublicBytes(held, bytes));
    },
  };
}

/** A store that changes each row that is asked for, before the caller gets it. */
export function givingOut(sound: DataKeyStore, distort: (row: StoredDataKey) => StoredDataKey): Partial<DataKeyStore> {
  return {
    async byKid(scope, kid, options) {
      const row = await sound.byKid(scope, kid, options);
      return row && distort(row);
    },
    list: async (scope, options) => (await sound.list(scope, options)).map(distort),
    scan: async (page, options) => (await sound.scan(page, options)).map(distort),
  };
}

/** A store that changes what it is told of scopes, on the way in. */
export function underScope(sound: DataKeyStore, distort: (scope: string) => string): Partial<DataKeyStore> {
  return {
    byKid: (scope, kid, options) => sound.byKid(distort(scope), kid, options),
    list: (scope, options) => sound.list(distort(scope), options),
    insertIfAbsent: (row, options) => sound.insertIfAbsent({ ...row, scope: distort(row.scope) }, options),
    compareAndSwap: (row, revision, options) => sound.compareAndSwap({ ...row, scope: distort(row.scope) }, revision, options),
  };
}

/** All rows, in the order of a sound scan. */
export function everyRow(sound: DataKeyStore): Promise<readonly StoredDataKey[]> {
  return sound.scan({ limit: Number.POSITIVE_INFINITY });
}
