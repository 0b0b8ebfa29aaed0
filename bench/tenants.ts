import { ok } from "node:assert/strict";
import { createHash } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Clock } from "envelock";
import { localKey } from "envelock/providers/local";
import { memoryTenantStore, type TenantKeyOpener, type TenantRow, type TenantStore, Tenants, type TenantsOptions } from "envelock/tenants";

/** What many tenants take: memory for those in use and for those that are known, and the time of a cold tenant's first use. */
export async function tenantsTable(tenants: number = IN_USE, known: number = KNOWN): Promise<string> {
  const store = memoryTenantStore();
  const ids = Array.from({ length: tenants }, (_, at) => `tenant-${at}`);
  await onboard(store, ids);
  const used = await memoryInUse(store, ids);
  const { cold, warm } = await firstUses(store, ids);
  const slots = await memoryOfSlots(known);
  return [
    `| ${tenants} tenants with keys of their own, 2,000 of them with a keyring; ${known} known tenants | measured | aim |`,
    "| --- | ---: | ---: |",
    `| memory with 2,000 keyrings that were used, and their data keys, MB | ${megabytes(used)} | 150 |`,
    `| memory of the slots of known tenants, MB | ${megabytes(slots)} | 60 |`,
    `| first use of a cold tenant, processor time, mean, ms | ${cold.processorMs.toFixed(2)} | 2 |`,
    `| the same, elapsed, p50 and p99, ms | ${milliseconds(cold.elapsed)} | |`,
    `| its second use, elapsed, p50 and p99, ms | ${milliseconds(warm.elapsed)} | |`,
  ].join("\n");
}

/** Each tenant is used once: one encryption and one decryption. More than 2,000 keyrings are not kept. */
async function memoryInUse(store: TenantStore, ids: readonly string[]): Promise<number> {
  const clock = movingClock();
  const before = memory();
  const tenants = new Tenants(optionsOf(store, clock));
  for (const id of ids) {
    await use(tenants, id);
    clock.advance(STEP_MS);
  }
  const { resident, known } = tenants.status;
  ok(resident <= RESIDENT && known === ids.length, `${resident} keyrings and ${known} slots`);
  const taken = memory() - before;
  await tenants.close();
  return taken;
}

/** All are known, and 2,000 have a keyring: what the others take is their slots. */
async function memoryOfSlots(known: number): Promise<number> {
  const clock = movingClock();
  const tenants = new Tenants({ ...optionsOf(storeOfAny(await templateRow()), clock), maxResident: RESIDENT, maxKnown: known });
  const meet = async (from: number, to: number): Promise<void> => {
    for (let at = from; at < to; at++) {
      await tenants.keyring(`tenant-${at}`);
      clock.advance(STEP_MS);
    }
  };
  await meet(0, RESIDENT);
  const before = memory();
  await meet(RESIDENT, known);
  ok(tenants.status.known === known, `${tenants.status.known} slots`);
  const taken = memory() - before;
  await tenants.close();
  return taken;
}

async function firstUses(store: TenantStore, ids: readonly string[]): Promise<{ readonly cold: Times; readonly warm: Times }> {
  const clock = movingClock();
  const tenants = new Tenants(optionsOf(store, clock));
  const times = { cold: noTimes(), warm: noTimes() };
  for (const [at, id] of ids.entries()) {
    for (const kind of ["cold", "warm"] as const) {
      const [startedAt, before] = [performance.now(), process.cpuUsage()];
      await use(tenants, id);
      if (at < WARM_UP) continue;
      times[kind].elapsed.push(performance.now() - startedAt);
      const { user, system } = process.cpuUsage(before); // of all threads
      times[kind].processorMs += (user + system) / 1000 / (ids.length - WARM_UP);
    }
    clock.advance(STEP_MS);
  }
  await tenants.close();
  return times;
}

async function use(tenants: Tenants, id: string): Promise<void> {
  const keyring = await tenants.keyring(id);
  const envelope = await keyring.encrypt(PLAINTEXT);
  const opened = await keyring.decrypt(envelope);
  ok(opened.length === PLAINTEXT.length);
}

/** Tenants that are active, each under a key of its own. */
async function onboard(store: TenantStore, ids: readonly string[]): Promise<void> {
  const tenants = new Tenants(optionsOf(store, movingClock()));
  for (const id of ids) {
    await tenants.invite(id);
    await tenants.stage(id, { kind: KIND, key: id });
    ok((await tenants.verify(id)).level !== "failed", `${id} was not verified`);
    await tenants.activate(id);
  }
  await tenants.close();
}

/** The row of an active tenant under the platform's key. */
async function templateRow(): Promise<TenantRow> {
  const store = memoryTenantStore();
  const tenants = new Tenants(optionsOf(store, movingClock()));
  await tenants.invite(TEMPLATE);
  await tenants.activate(TEMPLATE);
  await tenants.close();
  const row = await store.get({ kind: "tenant", id: TEMPLATE });
  if (row === undefined) throw new Error("the template has no row");
  return row;
}

/** A store that has every tenant and keeps none: what is measured is not its memory. */
function storeOfAny({ document, revision }: TenantRow): TenantStore {
  return {
    ...memoryTenantStore(),
    get: async ({ kind, id }) => (kind === "tenant" ? { kind, id, revision, document: document.replaceAll(TEMPLATE, id) } : undefined),
  };
}

function optionsOf(store: TenantStore, clock: Clock): TenantsOptions {
  return { store, clock, open: opener, platform: [localKey({ keyId: "platform", key: secretOf("platform") })], maxResident: RESIDENT };
}

const KIND = "local-bench";
const opener: TenantKeyOpener = {
  kind: KIND,
  accept: ({ key }) => ({ name: key, payer: key }),
  open: ({ key }) => localKey({ keyId: key, key: secretOf(key) }),
};

function secretOf(name: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(name).digest());
}

/** Time that moves as it is told, so that ten thousand uses are spread over the minutes that they take in a program. */
function movingClock(): Clock & { advance(ms: number): void } {
  let now = 0;
  return {
    monotonicMs: () => now,
    unixMs: () => START_MS + now,
    random: () => 0.5,
    after: () => () => undefined,
    advance(ms) {
      now += ms;
    },
  };
}

setFlagsFromString("--expose-gc");
const collect: unknown = runInNewContext("gc");

/** Heap and memory outside of it, once all garbage is gone. */
function memory(): number {
  for (let round = 0; round < 3; round++) if (typeof collect === "function") collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

interface Times {
  readonly elapsed: readonly number[];
  readonly processorMs: number;
}

function noTimes(): { readonly elapsed: number[]; processorMs: number } {
  return { elapsed: [], processorMs: 0 };
}

function milliseconds(times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.floor(sorted.length * share)] ?? Number.NaN).toFixed(2);
  return `${at(0.5)}, ${at(0.99)}`;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

const IN_USE = 10_000;
const KNOWN = 100_000;
const RESIDENT = 2000;
const WARM_UP = 500;
const STEP_MS = 50;
const PLAINTEXT = new Uint8Array(64);
const TEMPLATE = "tenant-of-the-template";
const START_MS = Date.parse("2026-11-22T12:00:00Z");
