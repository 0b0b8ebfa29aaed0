import type { Context } from "../../src/core/base/context.ts";
import type { DataKeyStore } from "../../src/core/contracts/data-key-store.ts";
import type { JobStore } from "../../src/core/contracts/job-store.ts";
import type { KeyProvider } from "../../src/core/contracts/key-provider.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { DataKeys } from "../../src/fields/data-keys.ts";
import { memoryStore } from "../../src/fields/stores/memory.ts";
import { memoryJobStore } from "../../src/jobs/stores/memory.ts";
import { type FakeClock, fakeClock } from "../support/fake-clock.ts";
import { kek } from "../support/keks.ts";

export interface Fleet {
  readonly clock: FakeClock;
  readonly store: DataKeyStore;
  readonly jobs: JobStore;
  /** The data keys of one more process, which wraps with "new" and unwraps "old" too. */
  open(wrapWith?: KeyProvider, unwrapWith?: readonly KeyProvider[], store?: DataKeyStore): DataKeys;
}

/** So many scopes with one data key each under the KEK "old", and the store of jobs of a fleet. */
export async function fleetOf(scopes: number, scopeOf: (at: number) => Context = tenantScope): Promise<Fleet> {
  const clock = fakeClock();
  const store = memoryStore();
  const open: Fleet["open"] = (wrapWith = kek("new"), unwrapWith = [kek("old")], over = store) =>
    new DataKeys({ keyring: new Keyring({ wrapWith: [wrapWith], unwrapWith, clock }), store: over, clock });
  const writer = open(kek("old"), []);
  for (let at = 0; at < scopes; at++) await writer.rotate(scopeOf(at));
  await writer.close();
  return { clock, store, jobs: memoryJobStore({ clock }), open };
}

export function tenantScope(at: number): Context {
  return { tenant: `t${at}` };
}

export async function revisionsIn(store: DataKeyStore): Promise<readonly number[]> {
  return (await store.scan({ limit: 1_000_000 })).map(({ revision }) => revision);
}
