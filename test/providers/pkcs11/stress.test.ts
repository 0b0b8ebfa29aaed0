import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { afterAll, beforeEach, expect, test } from "vitest";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import { noise } from "../../support/arbitraries.ts";
import { faultShim } from "./fault-shim.ts";
import { built, locationOf, OPTIONS } from "./location.ts";
import { softHsmTokens } from "./tokens.ts";

// Eight lanes at once on one library, with two providers and a third that is closed while it is in use. What it takes is printed.
// ENVELOCK_STRESS_OPERATIONS is how many wraps and unwraps each lane makes.

const { ENVELOCK_STRESS_OPERATIONS = "100" } = process.env;
const OPERATIONS = Number(ENVELOCK_STRESS_OPERATIONS);
const LANES = 8;
const MAX_SESSIONS = 6;

const PACKAGE = built("providers/pkcs11.js"); // a thread's entry is a bundled file
const { pkcs11Key }: typeof import("../../../providers/pkcs11/index.ts") = await import(PACKAGE);
const softHsm = softHsmTokens("stress");
const [token] = softHsm.tokens;
const shim = faultShim(token.module, softHsm.folder); // it counts the sessions
const location = { ...locationOf(token), module: shim.module, maxSessions: MAX_SESSIONS };
token.addKey({ label: "gcm", id: "01", aes: noise(32, "gcm") });
token.addKey({ label: "kw", id: "02", aes: noise(32, "kw") });
const KEYS_ON_TOKEN = 2;
beforeEach(() => shim.heal());
afterAll(() => softHsm.remove());

test.each([
  { thread: false },
  { thread: true },
])("many at once on one library, $thread for a thread of its own: nothing crosses, nothing grows", {
  timeout: 3_600_000,
}, async (where) => {
  const gcm = pkcs11Key({ ...location, ...where, key: { label: "gcm" } });
  const kw = pkcs11Key({ ...location, ...where, key: { label: "kw" }, mechanism: "aes-kw" });
  const rounds = Math.ceil(OPERATIONS / 2);
  await runLanes([gcm, kw], Math.ceil(rounds / 10));
  const before = process.memoryUsage.rss();
  let isRunning = true;
  const closing = closeInUse(() => isRunning, where);
  await runLanes([gcm, kw], rounds);
  isRunning = false;
  const closed = await closing;
  const sessions = shim.openSessions();
  console.info(
    `${JSON.stringify(where)}: ${LANES} lanes of ${2 * rounds} operations, ${closed} providers closed in use, ` +
      `${sessions} sessions open, memory ${megabytes(before)} before and ${megabytes(process.memoryUsage.rss())} after`,
  );
  expect(sessions).toBeLessThanOrEqual(2 * (MAX_SESSIONS + 1)); // one of each provider keeps the login
  await gcm.close();
  await kw.close();
  expect(shim.openSessions()).toBe(0);
  expect(token.countObjects()).toBe(KEYS_ON_TOKEN);
});

test("threads of the caller's own on one library do not disturb each other", { timeout: 3_600_000 }, async () => {
  const workers = Array.from({ length: 4 }, () => {
    const workerData = { location: { ...location, pin: undefined }, pin: token.pin, rounds: Math.ceil(OPERATIONS / 4), package: PACKAGE };
    return new Worker(WORKER, { eval: true, workerData });
  });
  const results = await Promise.all(workers.map(async (worker) => (await once(worker, "message"))[0]));
  expect(results).toEqual(workers.map(() => "done"));
  expect(shim.openSessions()).toBe(0);
});

/** Lanes that wrap and unwrap data keys of their own, and see that they get them back. */
async function runLanes(providers: readonly KeyProvider[], rounds: number): Promise<void> {
  const lane = async (number: number): Promise<void> => {
    for (let round = 0; round < rounds; round++) {
      const provider = providers[(number + round) % providers.length];
      if (provider === undefined) throw new Error("there are providers");
      const dek = dataKey(number, round);
      const wrapped = await provider.wrap(dek, OPTIONS);
      if (Buffer.compare(await provider.unwrap(wrapped, OPTIONS), dek) !== 0) throw new Error(`lane ${number} got a data key of another`);
      if (round % 50 === 0) {
        wrapped.wrapped[8] = (wrapped.wrapped[8] ?? 0) ^ 1;
        await expect(provider.unwrap(wrapped, OPTIONS)).rejects.toMatchObject({ code: "unwrap-rejected" });
      }
    }
  };
  await Promise.all(Array.from({ length: LANES }, (_, number) => lane(number)));
}

/** Opens providers and closes them under their calls, until told to stop. @returns how many */
async function closeInUse(isRunning: () => boolean, where: { readonly thread: boolean }): Promise<number> {
  let closed = 0;
  do {
    const provider = pkcs11Key({ ...location, ...where, key: { label: "gcm" } });
    const calls = Array.from({ length: 2 * MAX_SESSIONS }, (_, number) => provider.wrap(dataKey(number, closed), OPTIONS));
    const outcomes = Promise.allSettled(calls);
    await calls[0];
    await provider.close();
    for (const outcome of await outcomes) if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "closed" });
    closed++;
  } while (isRunning());
  return closed;
}

function dataKey(lane: number, round: number): Uint8Array {
  const key = new Uint8Array(32).fill(lane);
  new DataView(key.buffer).setUint32(0, round);
  return key;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}

const WORKER = `
const { parentPort, workerData } = require("node:worker_threads");
import(workerData.package).then(async ({ pkcs11Key }) => {
  const options = { keyContext: {}, wrapAad: (keyId) => Buffer.from(keyId) };
  const key = pkcs11Key({ ...workerData.location, pin: () => workerData.pin, key: { label: "gcm" } });
  for (let round = 0; round < workerData.rounds; round++) {
    const dek = new Uint8Array(crypto.getRandomValues(new Uint8Array(32)));
    const opened = await key.unwrap(await key.wrap(dek, options), options);
    if (Buffer.compare(opened, dek) !== 0) throw new Error("another data key came back");
  }
  await key.close();
  parentPort.postMessage("done");
}).catch((error) => parentPort.postMessage(String(error)));
`;
