import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { type FaultPlan, faultyProvider, type ProviderFault, seededFaults } from "../../../providers/conformance/index.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import { DataKeyCache } from "../../../src/core/key-source/data-key-cache.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import { noise } from "../../support/arbitraries.ts";
import { type FakeClock, fakeClock } from "../../support/fake-clock.ts";
import { kek } from "../../support/keks.ts";
import { timesFor } from "./load.ts";

const CALLERS = 200;
const { ENVELOCK_CHAOS_OPERATIONS = `${timesFor(50_000)}`, ENVELOCK_CHAOS_SEED = "0" } = process.env;
/** For long runs by hand, each of another seed. */
const OPERATIONS = Number(ENVELOCK_CHAOS_OPERATIONS);
const SEED = Number(ENVELOCK_CHAOS_SEED);
const DEADLINE_MS = 60_000;
/** When the second provider answers nothing at all. */
const DEAD = { fromMs: 15_000, toMs: 60_000 };

const FAULTS: readonly ProviderFault[] = [
  { kind: "delay", delayMs: 1500 },
  { kind: "delay", delayMs: 11_000 },
  { kind: "throttle" },
  { kind: "throttle", retryAfterMs: 2500 },
  { kind: "throttle", retryAfterMs: 90_000 },
  { kind: "fail", code: "unavailable" },
  { kind: "fail", code: "timeout" },
  { kind: "fail", code: "access-denied" },
  { kind: "fail", code: "key-disabled" },
  { kind: "fail", code: "unwrap-rejected" },
  { kind: "throw" },
  { kind: "hang" },
  { kind: "hang-deaf" },
  { kind: "wrong-length", bytes: 0 },
  { kind: "wrong-length", bytes: 31 },
  { kind: "wrong-key" },
];

test(`${OPERATIONS} mixed operations of ${CALLERS} callers over three faulty providers`, {
  timeout: 300_000 + 10 * OPERATIONS,
}, async () => {
  const rejections: unknown[] = [];
  const note = (reason: unknown): unknown => rejections.push(reason);
  process.on("unhandledRejection", note);

  await chaos(OPERATIONS / 10); // warms up: code, pools and caches
  const before = heapBytes();
  const { outcomes, longestMs, cache, keyrings, clock } = await chaos(OPERATIONS);

  expect(longestMs).toBeLessThanOrEqual(DEADLINE_MS);
  expect([...outcomes.values()].reduce((sum, count) => sum + count, 0)).toBe(OPERATIONS);
  // not much of a storm if it had no effect, nor much of a shelter if little came through
  expect(outcomes.get("ok")).toBeGreaterThan(OPERATIONS * 0.6);
  for (const kind of ["aborted", "unavailable", "authentication-failed", "provider-failure"])
    expect(outcomes.get(kind) ?? 0, kind).toBeGreaterThan(0);

  await clock.advance(600_000); // ages, deadlines and breakers run out
  expect(clock.timers).toBe(0);
  expect(cache.size).toBe(0);
  for (const keyring of keyrings) {
    for (const { active, queued } of keyring.status().providers) expect({ active, queued }).toEqual({ active: 0, queued: 0 });
    expect(keyring.status().hasReusedDataKey).toBe(false);
    await keyring.close();
  }
  await new Promise((resolve) => setImmediate(resolve));
  expect(rejections).toEqual([]);
  process.off("unhandledRejection", note);
  expect(heapBytes() - before).toBeLessThan(8 * 2 ** 20);
});

interface Chaos {
  /** How many calls ended how: `ok`, `aborted` or an error's code. */
  readonly outcomes: ReadonlyMap<string, number>;
  readonly longestMs: number;
  readonly cache: DataKeyCache;
  readonly keyrings: readonly Keyring[];
  readonly clock: FakeClock;
}

async function chaos(operations: number): Promise<Chaos> {
  const random = seeded(7 + 1000 * SEED);
  const clock = fakeClock(random);
  const cache = new DataKeyCache({ maxEntries: 40, maxAgeMs: 20_000, clock });
  const [a, b, c] = ["a", "b", "c"].map((keyId, index) => faulty(keyId, index, clock));
  if (a === undefined || b === undefined || c === undefined) throw new Error("there are three");
  const bounds = { clock, maxConcurrent: 16, deadlineMs: DEADLINE_MS, breaker: { failures: 8, openMs: 5000 } };
  const keyrings = [
    new Keyring({ wrapWith: [a, b], unwrapWith: [c], context: { tenant: "x" }, cache, ...bounds }),
    new Keyring({
      wrapWith: [b],
      unwrapWith: [c, a],
      context: { tenant: "x" },
      cache,
      reuse: { maxUses: 20, maxAgeMs: 10_000 },
      ...bounds,
    }),
    new Keyring({ wrapWith: [c], unwrapWith: [a, b], context: { tenant: "y" }, cache, reuse: { maxAgeMs: 30_000 }, ...bounds }),
    new Keyring({ wrapWith: [a], unwrapWith: [b], context: { tenant: "y" }, ...bounds }),
  ];
  const outcomes = new Map<string, number>();
  let longestMs = 0;
  let left = operations;

  const caller = async (): Promise<void> => {
    /** Envelopes with what they hold: each opens in keyrings of its own tenant alone. */
    const written: { readonly envelope: Uint8Array; readonly seed: number; readonly tenant: number }[] = [];
    while (left > 0) {
      left--;
      const known = written[Math.floor(random() * written.length)];
      const isOwn = known !== undefined && random() < 0.9; // the others meet another tenant's envelope
      const place = isOwn ? 2 * known.tenant + Math.floor(random() * 2) : Math.floor(random() * keyrings.length);
      const keyring = keyrings[place];
      if (keyring === undefined) throw new Error("there is one");
      const aborts = random() < 0.03;
      const controller = new AbortController();
      const cancel = aborts ? clock.after(random() * 8000, () => controller.abort(ABORTED), "awaited") : undefined;
      const options = aborts ? { signal: controller.signal } : {};
      const startedAt = clock.monotonicMs();
      let outcome = "ok";
      try {
        const dice = random();
        if (dice < 0.35 || known === undefined) {
          const seed = Math.floor(random() * 1000);
          written.push({ envelope: await keyring.encrypt(noise(16, seed), options), seed, tenant: Math.floor(place / 2) });
          if (written.length > 12) written.shift();
        } else if (dice < 0.5) {
          const moved = await keyring.rewrap(known.envelope, options);
          expect(known.tenant).toBe(Math.floor(place / 2));
          written.push({ ...known, envelope: moved });
        } else if (dice < 0.55) {
          await keyring.needsRewrap(known.envelope, options);
        } else if (dice < 0.57) {
          keyring.forget({ keyId: "b" });
        } else {
          expect(await keyring.decrypt(known.envelope, options)).toEqual(noise(16, known.seed));
          expect(known.tenant).toBe(Math.floor(place / 2));
        }
      } catch (error) {
        if (error === ABORTED) outcome = "aborted";
        else if (error instanceof EnvelockError) outcome = error.code;
        else throw error;
      }
      cancel?.();
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      longestMs = Math.max(longestMs, clock.monotonicMs() - startedAt);
      if (random() < 0.3) await new Promise<void>((resolve) => void clock.after(random() * 2000, resolve, "awaited"));
    }
  };

  await clock.finish(Promise.all(Array.from({ length: CALLERS }, caller)));
  return { outcomes, longestMs, cache, keyrings, clock };
}

/** A local key whose calls take 5 to 45 ms, of which a fifth goes wrong; the second is dead for a while. */
function faulty(keyId: string, index: number, clock: FakeClock) {
  const sleep = (delayMs: number): Promise<void> => new Promise((resolve) => void clock.after(delayMs, resolve, "awaited"));
  const faults = seededFaults(index + 1000 * SEED, 0.2, FAULTS);
  const delays = seeded(100 + index + 1000 * SEED);
  const plan: FaultPlan = (call, method) => {
    const now = clock.monotonicMs();
    if (index === 1 && now >= DEAD.fromMs && now < DEAD.toMs) return { kind: "hang" };
    const fault = faults(call, method);
    // a wrap under another key is a lie that nobody could see: the data would be lost, not misread
    if (fault?.kind === "wrong-key" && method === "wrap") return undefined;
    return fault ?? { kind: "delay", delayMs: 5 + 40 * delays() };
  };
  return faultyProvider(kek(keyId), plan, { sleep });
}

function seeded(seed: number): () => number {
  const faults = seededFaults(
    seed,
    1,
    Array.from({ length: 4096 }, (_, delayMs) => ({ kind: "delay", delayMs })),
  );
  return () => {
    const fault = faults(0, "wrap");
    return fault?.kind === "delay" ? fault.delayMs / 4096 : 0;
  };
}

function heapBytes(): number {
  for (let round = 0; round < 3; round++) collectGarbage();
  return process.memoryUsage().heapUsed;
}

/** All of it, at once: Node hides that behind a flag, Bun has it at hand. */
function collectGarbage(): void {
  const bun: unknown = Reflect.get(globalThis, "Bun");
  if (typeof bun === "object" && bun !== null) {
    const collect: unknown = Reflect.get(bun, "gc");
    if (typeof collect === "function") collect(true);
    return;
  }
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  if (typeof collect === "function") collect(); // with `true` it would be the young generation alone
}

const ABORTED = new Error("the caller's own");
