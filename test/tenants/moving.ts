import { expect } from "vitest";
import type { DataKeyStore } from "../../src/core/contracts/data-key-store.ts";
import type { TenantStore } from "../../src/core/contracts/tenant-store.ts";
import { inspectKeyRecord } from "../../src/core/keyring/inspect.ts";
import { memoryStore } from "../../src/fields/stores/memory.ts";
import { memoryTenantStore } from "../../src/tenants/stores/memory.ts";
import type { Tenants } from "../../src/tenants/tenants.ts";
import type { Vendor } from "./bench.ts";

export const SCOPES = 6;

export interface Token {
  readonly project: string;
  readonly token: string;
}

export async function fill(
  tenants: Tenants,
  id: string,
  projects: readonly string[] = Array.from({ length: SCOPES }, (_, at) => `${at}`),
): Promise<readonly Token[]> {
  const dataKeys = await tenants.dataKeys(id);
  const tokens: Token[] = [];
  for (const project of projects) {
    const field = await dataKeys.field({ table: "notes", column: "text", scope: { project } });
    tokens.push({ project, token: field.encrypt(`note of ${project}`) });
  }
  return tokens;
}

export async function expectOpen(tenants: Tenants, id: string, tokens: readonly Token[]): Promise<void> {
  const dataKeys = await tenants.dataKeys(id);
  for (const { project, token } of tokens) {
    const field = await dataKeys.field({ table: "notes", column: "text", scope: { project } });
    expect(await field.decryptAsync(token)).toBe(`note of ${project}`);
  }
}

export async function stage({ tenants, service, clock, another }: Vendor, id: string, name: string): Promise<void> {
  service.addKey(name);
  await clock.advance(10_000); // one verification in ten seconds
  const operator = another();
  await operator.stage(id, { kind: "fake", key: name });
  expect((await operator.verify(id)).level).toBe("ok");
  await operator.close();
  await tenants.show(id).catch(() => undefined);
}

/** The key versions that live records of a tenant name. */
export async function keysNamed(store: DataKeyStore, id: string): Promise<readonly string[]> {
  const rows = await store.scan({ limit: 1000 });
  const own = rows.filter(({ scope }) =>
    atob(scope.replaceAll("-", "+").replaceAll("_", "/")).includes(`tenant\u0000${String.fromCharCode(id.length)}${id}`),
  );
  return [...new Set(own.flatMap(({ record }) => (record === null ? [] : inspectKeyRecord(record).recipients.map(({ keyId }) => keyId))))];
}

export interface Faulty {
  readonly store: TenantStore;
  readonly dataKeyStore: DataKeyStore;
}

/** Stores of which the write with a number fails, as if the process had died before or after it; and so does everything that follows. */
export function crashing(): Faulty & { readonly hasCrashed: boolean; arm(at: number, when: "before" | "after"): void } {
  let left = Number.POSITIVE_INFINITY;
  let moment: "before" | "after" = "before";
  let hasCrashed = false;
  const died = (): Error => new Error("the process died");
  const write = async (work: () => Promise<boolean>): Promise<boolean> => {
    if (hasCrashed && left !== Number.POSITIVE_INFINITY) throw died();
    if (--left > 0) return await work();
    hasCrashed = true;
    if (moment === "after") await work();
    throw died();
  };
  return {
    ...faulty(write),
    get hasCrashed() {
      return hasCrashed;
    },
    arm(at, when) {
      [left, moment] = [at, when];
      if (at !== Number.POSITIVE_INFINITY) hasCrashed = false;
    },
  };
}

/** Stores that let other work run before the write with a number. */
export function pausing(): Faulty & { arm(at: number, meanwhile: () => Promise<void>): void } {
  let left = Number.POSITIVE_INFINITY;
  let run: () => Promise<void> = async () => undefined;
  const write = async (work: () => Promise<boolean>): Promise<boolean> => {
    if (--left === 0) await run();
    return await work();
  };
  return {
    ...faulty(write),
    arm(at, meanwhile) {
      [left, run] = [at, meanwhile];
    },
  };
}

function faulty(write: (work: () => Promise<boolean>) => Promise<boolean>): Faulty {
  const [store, dataKeyStore] = [memoryTenantStore(), memoryStore()];
  return {
    store: {
      ...store,
      insertIfAbsent: (row, options) => write(() => store.insertIfAbsent(row, options)),
      compareAndSwap: (row, revision, options) => write(() => store.compareAndSwap(row, revision, options)),
    },
    dataKeyStore: {
      ...dataKeyStore,
      insertIfAbsent: (row, options) => write(() => dataKeyStore.insertIfAbsent(row, options)),
      compareAndSwap: (row, revision, options) => write(() => dataKeyStore.compareAndSwap(row, revision, options)),
    },
  };
}
