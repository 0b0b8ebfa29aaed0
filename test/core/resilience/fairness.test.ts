import { describe, expect, test } from "vitest";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import type { KeyringOptions } from "../../../src/core/keyring/keyring-options.ts";
import { FairLimits } from "../../../src/core/resilience/fair-limits.ts";
import { ProviderGuards } from "../../../src/core/resilience/policy.ts";
import type { KeyringEvent } from "../../../src/core/telemetry/events.ts";
import { noise } from "../../support/arbitraries.ts";
import { type FakeClock, fakeClock } from "../../support/fake-clock.ts";
import { kek, watched } from "../../support/keks.ts";
import { refusal } from "../../support/refusal.ts";

// 100 quiet tenants, and one that is not, on 16 places. A healthy service takes 20 ms for an answer.

const QUIET = 100;
const ANSWER_MS = 20;
const WINDOW_MS = 1000;

describe("the p99 of 100 quiet tenants stays below twice what it is alone", () => {
  test("beside one with 1,000 calls a second, and would not if all stood in one line", async () => {
    const alone = await p99Beside("nobody", 0, fairly);
    const beside = await p99Beside("healthy", 1000, fairly);
    expect(alone).toBe(ANSWER_MS);
    expect(beside).toBeLessThan(2 * alone);
    expect(await p99Beside("healthy", 1000, inOneLine)).toBeGreaterThan(2 * alone);
  });

  test.each(["hanging", "throttling", "down", "huge"] as const)("beside one whose key service is %s", async (service) => {
    expect(await p99Beside(service, 300, fairly)).toBeLessThan(2 * ANSWER_MS);
  });
});

test("C1: the rewrap of one tenant at full speed delays the requests of another by less than a tenth", async () => {
  const latencies: number[] = [];
  for (const rewraps of [0, 40]) {
    const clock = fakeClock();
    const limits = new FairLimits({ clock, total: 10 });
    const shared = { clock, limits, tenant: { id: "moving" } };
    const jobs = new Keyring({ wrapWith: [answering(clock)], lane: "background", ...shared });
    const records = await Promise.all(Array.from({ length: rewraps }, async () => (await new Keyring(kek()).createDataKey()).keyRecord));
    let rewrapped = 0;
    for (const record of records) jobs.rewrapKeyRecord(record).then(() => rewrapped++, expect.fail);
    const samples = sampler(clock);
    const requests = new Keyring({ wrapWith: [answering(clock)], clock, limits, tenant: { id: "quiet" } });
    for (let at = 0; at < 800; at += 5) samples.at(at, () => requests.encrypt(noise(1)));
    await clock.advance(1000);
    expect(rewrapped).toBeGreaterThanOrEqual(rewraps / 4); // one place of eight, and two calls each
    latencies.push(samples.p99());
  }
  const [alone = 0, beside = Number.POSITIVE_INFINITY] = latencies;
  expect(beside).toBeLessThanOrEqual(1.1 * alone);
});

describe("a keyring with limits", () => {
  test("sheds what would wait too long at once, without a call or a retry", async () => {
    const clock = fakeClock();
    const limits = new FairLimits({ clock, perTenant: 1, maxQueued: 1 });
    const provider = watched(answering(clock));
    const events: KeyringEvent[] = [];
    const keyring = new Keyring({ wrapWith: [provider], clock, limits, tenant: { id: "acme" }, onEvent: (event) => events.push(event) });
    const calls = [keyring.encrypt(noise(1)), keyring.encrypt(noise(1))];
    const { code, detail, whose, tenant } = await refusal(() => keyring.encrypt(noise(1)));
    expect([code, detail, whose, tenant]).toEqual(["rate-limited", "queue-full", "vendor", "acme"]);
    await clock.finish(Promise.all(calls));
    expect(provider.calls).toEqual(["wrap", "wrap"]);
    expect(events.filter(({ type }) => type === "retry")).toEqual([]);
    expect(limits.status()).toEqual({ active: 0, background: 0, queued: 0 });
  });

  test("ends a wait for a place at its deadline, as the vendor's, and gives no place away", async () => {
    const clock = fakeClock();
    const limits = new FairLimits({ clock, perTenant: 1 });
    const hanging: KeyProvider = { ...kek(), wrap: () => new Promise(() => undefined) };
    const keyring = new Keyring({ wrapWith: [hanging], clock, limits, retry: false, deadlineMs: 5000, tenant: { id: "acme" } });
    const errors = Promise.all([keyring.encrypt(noise(1)), keyring.encrypt(noise(1))].map((call) => refusal(() => call)));
    expect((await clock.finish(errors)).map(({ code, whose }) => [code, whose])).toEqual([
      ["timeout", "service"],
      ["timeout", "vendor"],
    ]);
    expect(limits.status()).toEqual({ active: 0, background: 0, queued: 0 });
  });

  test("slows all of a payer whose service throttles one", async () => {
    const clock = fakeClock();
    const limits = new FairLimits({ clock, payerOf: () => "aws" });
    const throttling: KeyProvider = {
      ...kek(),
      wrap: () => Promise.reject(new EnvelockError("rate-limited", "slower", { retryAfterMs: 3000 })),
    };
    await refusal(() => new Keyring({ wrapWith: [throttling], clock, limits, retry: false, tenant: { id: "a" } }).encrypt(noise(1)));
    const other = new Keyring({ wrapWith: [kek()], clock, limits, tenant: { id: "b" } });
    await clock.finish(other.encrypt(noise(1)));
    expect(clock.monotonicMs()).toBe(3000);
  });

  test("without a tenant is one tenant more", async () => {
    const clock = fakeClock();
    const limits = new FairLimits({ clock, perTenant: 1, total: 2 });
    const call = new Keyring({ wrapWith: [answering(clock)], clock, limits }).encrypt(noise(1));
    expect(limits.status("")).toMatchObject({ active: 1 });
    await clock.finish(call);
  });

  test.each<readonly [string, object]>([
    ["limits", { limits: {} }],
    ["lane", { lane: "slow", limits: new FairLimits() }],
    ["lane", { lane: "background" }],
  ])("checks %s", async (name, options) => {
    const { code, message } = await refusal(() => Reflect.construct(Keyring, [{ wrapWith: [kek()], ...options }]));
    expect([code, message]).toEqual(["invalid-argument", expect.stringContaining(name)]);
  });
});

type Sharing = (clock: FakeClock) => Partial<KeyringOptions>;

/** What a program with tenants sets. */
function fairly(clock: FakeClock): Partial<KeyringOptions> {
  return { limits: new FairLimits({ clock, total: 16 }) };
}

/** The same number of places, first come, first served. */
function inOneLine(): Partial<KeyringOptions> {
  return { guards: new ProviderGuards({ keyOf: () => "one", maxConcurrent: 16 }) };
}

/** The 99th percentile of 100 calls, one of each quiet tenant, while another makes so many calls a second. */
async function p99Beside(service: keyof typeof SERVICES, callsPerSecond: number, sharing: Sharing): Promise<number> {
  const clock = fakeClock();
  const options = { clock, ...sharing(clock) };
  const samples = sampler(clock);
  const hot = new Keyring({ wrapWith: [SERVICES[service](clock)], tenant: { id: "hot" }, ...options });
  for (let call = 0; call < (callsPerSecond * WINDOW_MS) / 1000; call++) {
    clock.after((call * 1000) / callsPerSecond, () => void hot.encrypt(noise(1)).catch(() => undefined), "awaited");
  }
  for (let at = 0; at < QUIET; at++) {
    const keyring = new Keyring({ wrapWith: [answering(clock)], tenant: { id: `quiet-${at}` }, ...options });
    samples.at((at * WINDOW_MS) / QUIET, () => keyring.encrypt(noise(1)));
  }
  await clock.advance(WINDOW_MS + 1000);
  expect(samples.count()).toBe(QUIET);
  return samples.p99();
}

const SERVICES = {
  nobody: answering,
  healthy: answering,
  hanging: (): KeyProvider => ({ ...kek(), wrap: () => new Promise(() => undefined) }),
  throttling: (): KeyProvider => failing(new EnvelockError("rate-limited", "slower", { retryAfterMs: 500 })),
  down: (): KeyProvider => failing(new EnvelockError("unavailable", "down")),
  huge: (): KeyProvider => ({ ...kek(), wrap: async () => ({ provider: "local", keyId: "k1", alg: 1, wrapped: HUGE }) }),
} as const;
const HUGE = new Uint8Array(65 * 2 ** 20);

function failing(error: EnvelockError): KeyProvider {
  return { ...kek(), wrap: () => Promise.reject(error) };
}

/** A key in a service that takes its time. */
function answering(clock: FakeClock): KeyProvider {
  const inner = kek();
  const answer = (): Promise<void> => new Promise((resolve) => clock.after(ANSWER_MS, resolve, "awaited"));
  return {
    ...inner,
    async wrap(dek, options) {
      await answer();
      return await inner.wrap(dek, options);
    },
    async unwrap(recipient, options) {
      await answer();
      return await inner.unwrap(recipient, options);
    },
  };
}

/** Starts calls at their times, and notes how long each took. */
function sampler(clock: FakeClock) {
  const samples: number[] = [];
  return {
    count: () => samples.length,
    p99: () => [...samples].sort((a, b) => a - b)[Math.ceil(samples.length * 0.99) - 1] ?? Number.NaN,
    at(ms: number, call: () => Promise<unknown>): void {
      const start = (): void => {
        const startedAt = clock.monotonicMs();
        void call().then(() => samples.push(clock.monotonicMs() - startedAt));
      };
      clock.after(ms, start, "awaited");
    },
  };
}
