import { localKey } from "envelock/providers/local";
import { memoryTenantStore, type TenantRow, type TenantStore, Tenants } from "envelock/tenants";

// Started by bench/tenants.ts with --expose-gc, once for each line of its table, so that no line has the garbage of another.

const [, , what = "", count = "0"] = process.argv;

const key = localKey({ keyId: "platform-2026", key: crypto.getRandomValues(new Uint8Array(32)) });

/** A store that makes records as they are asked for, so that its own memory does not count. */
async function syntheticStore(): Promise<TenantStore> {
  const store = memoryTenantStore();
  const template = new Tenants({ store, platform: [key] });
  await template.invite("t0");
  await template.activate("t0");
  const row = await store.get({ kind: "tenant", id: "t0" });
  if (row === undefined) throw new Error("no template");
  const made = (id: string): TenantRow => ({ ...row, id, document: `${row.document}` });
  return { ...store, get: async ({ id }) => made(id) };
}

async function settledBytes(): Promise<number> {
  for (let turn = 0; turn < 3; turn++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  return heapUsed + external + arrayBuffers;
}

const store = await syntheticStore();
let nowMs = 0;
const clock = {
  monotonicMs: () => nowMs,
  unixMs: () => 1_790_000_000_000 + nowMs,
  random: () => 0.5,
  after: () => () => undefined,
};
const tenants = new Tenants({ store, platform: [key], clock });

if (what === "resident" || what === "known") {
  const before = await settledBytes();
  const isUsed = what === "resident";
  for (let at = 0; at < Number(count); at++) {
    nowMs += 20; // a tenant is in use for ten seconds
    if (!isUsed) {
      await tenants.show(`t${at}`);
      continue;
    }
    const keyring = await tenants.keyring(`t${at}`);
    await keyring.decrypt(await keyring.encrypt(new Uint8Array(64)));
  }
  const bytes = (await settledBytes()) - before;
  console.log(JSON.stringify({ bytes, ...tenants.status }));
} else {
  const [times, cpuTimes]: [number[], number[]] = [[], []];
  for (let at = 0; at < Number(count); at++) {
    nowMs += 20;
    const [begun, cpu] = [performance.now(), process.cpuUsage()];
    const keyring = await tenants.keyring(`c${at}`);
    await keyring.encrypt(new Uint8Array(64));
    times.push(performance.now() - begun);
    const { user, system } = process.cpuUsage(cpu);
    cpuTimes.push((user + system) / 1000);
  }
  const sharesOf = (all: readonly number[]) => {
    const sorted = all.slice(1000).sort((a, b) => a - b); // the first ones compile
    return [0.5, 0.99].map((share) => sorted[Math.floor(sorted.length * share)] ?? 0);
  };
  const [[p50Ms, p99Ms], [, cpuP99Ms]] = [sharesOf(times), sharesOf(cpuTimes)];
  console.log(JSON.stringify({ p50Ms, p99Ms, cpuP99Ms }));
}
