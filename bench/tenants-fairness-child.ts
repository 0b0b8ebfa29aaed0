import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { platform } from "node:os";
import { fileURLToPath } from "node:url";
import { httpsFetch } from "envelock/node";
import { vaultTenantKeys } from "envelock/providers/vault";
import { memoryTenantStore, Tenants } from "envelock/tenants";

// One vendor's process with a hundred quiet tenants and one that is not, over HTTPS and in real time. Started by bench/tenants-fairness.ts
// for each way not to be quiet, and for `bare`: the same requests by the same `fetch` without Envelock, which is what the machine, TLS and
// Node's client cost by themselves. Latency counts from the time at which a call should have begun, so that a busy event loop shows.

const [, , mode = "hot", rounds = "9", phaseMs = "1500"] = process.argv;
const DATA = new Uint8Array(64);
const QUIET = Array.from({ length: 100 }, (_, at) => `quiet-${at}`);
const NOISY = "noisy";
/** Calls a second. */
const RATE: Readonly<Record<string, number>> = { hot: 1000, bare: 1000, cached: 1000, hangs: 100, throttles: 1000, huge: 20 };
/** Two calls a second of each quiet tenant. */
const QUIET_RATE = 200;

interface Service {
  readonly process: ChildProcess;
  readonly address: string;
  readonly token: string;
  readonly ca: string;
}

/** Starts a key service. One that is idle runs only while nothing else wants a processor, on Linux. */
async function started(keys: readonly string[], isIdle: boolean): Promise<Service> {
  const script = fileURLToPath(new URL("tenants-fairness-service.ts", import.meta.url));
  const run = ["--import", "tsx"];
  const idle = { execPath: "chrt", execArgv: ["--idle", "0", process.execPath, ...run] };
  const child = fork(script, [keys.join(",")], isIdle && platform() === "linux" ? idle : { execArgv: run });
  const [place]: { readonly address: string; readonly token: string; readonly ca: string }[] = await once(child, "message");
  if (place === undefined) throw new Error("the key service did not start");
  return { process: child, ...place };
}

// in life the noisy tenant's service is another machine, which takes no time from the vendor's process and the quiet tenants' services
const services = { quiet: await started(QUIET, false), noisy: await started([NOISY], true) };
const fetches = { quiet: httpsFetch({ ca: services.quiet.ca }), noisy: httpsFetch({ ca: services.noisy.ca }) };
const clusterOf = (name: keyof typeof services) => ({
  address: services[name].address,
  fetch: fetches[name],
  placeOf: () => ({ token: async () => ({ token: services[name].token }) }),
});
const tenants = new Tenants({
  store: memoryTenantStore(),
  open: vaultTenantKeys({ clusters: { quiet: clusterOf("quiet"), noisy: clusterOf("noisy") } }),
  grantSpreadMs: 0,
});
for (const id of [...QUIET, NOISY]) {
  await tenants.invite(id);
  await tenants.stage(id, { kind: "vault-transit", key: id, settings: { cluster: id === NOISY ? "noisy" : "quiet" } });
  const { level, findings } = await tenants.verify(id);
  if (level === "failed") throw new Error(JSON.stringify(findings));
  await tenants.activate(id);
}
const cached = await (await tenants.keyring(NOISY)).encrypt(DATA);
await (await tenants.keyring(NOISY)).decrypt(cached);
services.noisy.process.send({ mode });
await once(services.noisy.process, "message");

const ends = new Map<string, number>();
/** Eight requests at once and 64 in line, as a tenant has with Envelock. */
class Places {
  readonly #waiting: (() => void)[] = [];
  #inFlight = 0;

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#inFlight === 8) {
      if (this.#waiting.length === 64) throw new Error("the line is full");
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#inFlight++;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#inFlight--;
      else next();
    }
  }
}
const noisyPlaces = new Places();

/** Calls at fixed times for as long as the phase lasts. @returns the latencies of those that succeeded, in milliseconds */
async function calls(perSecond: number, call: (at: number) => Promise<unknown>, isNoisy: boolean): Promise<readonly number[]> {
  const latencies: number[] = [];
  const pending: Promise<void>[] = [];
  const begunAt = performance.now();
  const count = Math.floor((perSecond * Number(phaseMs)) / 1000);
  const one = async (at: number, dueAt: number): Promise<void> => {
    let end = "ok";
    try {
      await call(at);
      latencies.push(performance.now() - dueAt);
    } catch (error) {
      end = error instanceof Error && "code" in error ? `${error.code}` : "other";
    }
    if (isNoisy) ends.set(end, (ends.get(end) ?? 0) + 1);
    else if (end !== "ok") ends.set(`quiet ${end}`, (ends.get(`quiet ${end}`) ?? 0) + 1);
  };
  for (let at = 0; at < count; ) {
    for (const now = performance.now(); at < count && begunAt + (at * 1000) / perSecond <= now; at++)
      pending.push(one(at, begunAt + (at * 1000) / perSecond));
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  if (isNoisy) void Promise.all(pending);
  else await Promise.all(pending);
  return latencies;
}

const quietCall = async (tenant: string): Promise<unknown> =>
  mode === "bare" ? await bareCall("quiet", tenant) : await (await tenants.keyring(tenant)).encrypt(DATA);
const quiet = async (): Promise<readonly number[]> =>
  await calls(QUIET_RATE, async (at) => await quietCall(QUIET[(at * 37) % QUIET.length] ?? ""), false);
const noisyCall = async (): Promise<unknown> => {
  if (mode === "bare") return await noisyPlaces.run(() => bareCall("noisy", NOISY));
  const keyring = await tenants.keyring(NOISY);
  return mode === "cached" ? await keyring.decrypt(cached) : await keyring.encrypt(DATA);
};
const noisy = async (): Promise<unknown> => await calls(RATE[mode] ?? 1000, noisyCall, true);

/** The request that wraps a data key, by `fetch` alone. */
async function bareCall(service: keyof typeof services, key: string): Promise<unknown> {
  const { address, token } = services[service];
  const headers = { "x-vault-token": token, "x-vault-request": "true", "content-type": "application/json" };
  const body = JSON.stringify({ plaintext: Buffer.alloc(32).toString("base64"), associated_data: Buffer.alloc(64).toString("base64") });
  const url = `${address}/v1/transit/encrypt/${key}`;
  const answer = await fetches[service](url, { method: "POST", headers, body, redirect: "manual" });
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`the key service answered ${answer.status} ${text}`);
  return JSON.parse(text);
}

await quiet(); // the first calls compile and connect
const [alone, beside]: [number[][], number[][]] = [[], []];
for (let round = 0; round < Number(rounds); round++) {
  for (const isAlone of round % 2 === 0 ? [true, false] : [false, true]) {
    const [latencies] = await Promise.all([quiet(), isAlone ? undefined : noisy()]);
    (isAlone ? alone : beside).push([...latencies]);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

function at(latencies: readonly number[], share: number): number {
  const sorted = [...latencies].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
}

// the median of the rounds, so that one stall of a busy machine does not decide
const medianOf = (list: readonly number[]): number => at(list, 0.5);
const both = (phases: readonly (readonly number[])[]) => ({
  p50Ms: medianOf(phases.map((phase) => at(phase, 0.5))),
  p99Ms: medianOf(phases.map((phase) => at(phase, 0.99))),
});
const ratio = medianOf(beside.map((phase, round) => at(phase, 0.99) / at(alone[round] ?? [], 0.99)));
console.log(JSON.stringify({ alone: both(alone), beside: both(beside), ratio, ends: Object.fromEntries(ends) }));
for (const { process: child } of Object.values(services)) child.kill();
process.exit(0);
