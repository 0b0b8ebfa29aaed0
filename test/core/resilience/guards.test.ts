import { describe, expect, test } from "vitest";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import { ProviderGuards, type ProviderGuardsOptions } from "../../../src/core/resilience/policy.ts";
import type { KeyringEvent } from "../../../src/core/telemetry/events.ts";
import { noise } from "../../support/arbitraries.ts";
import { type FakeClock, fakeClock } from "../../support/fake-clock.ts";
import { kek, type WatchedProvider, watched } from "../../support/keks.ts";
import { refusal } from "../../support/refusal.ts";
import { unavailable } from "./backends.ts";

describe("a guard by the name of its key", () => {
  test("outlives the provider object: one that is made again meets the open breaker", async () => {
    const { guards, clock } = byName({ breaker: { failures: 2 } });
    for (let life = 0; life < 2; life++) {
      const provider = failing("tenant-1", unavailable());
      await refusal(() => ringOf(provider, guards, clock).encrypt(noise(1)));
      expect(provider.calls).toEqual(["wrap"]);
    }
    const again = failing("tenant-1", unavailable());
    expect((await refusal(() => ringOf(again, guards, clock).encrypt(noise(1)))).detail).toBe("circuit-open");
    expect(again.calls).toEqual([]);
    const other = key("tenant-2");
    await ringOf(other, guards, clock).encrypt(noise(1));
    expect(other.calls).toEqual(["wrap"]);
  });

  test("has the same places for every object of the key", async () => {
    const { guards, clock } = byName({ maxConcurrent: 1 });
    const [first, second] = [hanging("tenant-1"), hanging("tenant-1")];
    const calls = [first, second].map((provider) => refusal(() => ringOf(provider, guards, clock, 50).encrypt(noise(1))));
    await clock.advance(10);
    expect([first.calls, second.calls]).toEqual([["wrap"], []]);
    await clock.finish(Promise.all(calls));
    expect(second.calls).toEqual(["wrap"]);
  });

  test("leaves at the bound only if it holds no state", async () => {
    const { guards, clock } = byName({ breaker: { failures: 2 }, maxKeys: 1 });
    await refusal(() => ringOf(failing("tenant-1", unavailable()), guards, clock).encrypt(noise(1)));
    for (let at = 0; at < 50; at++) await ringOf(key(`quiet-${at}`), guards, clock).encrypt(noise(1));
    const again = failing("tenant-1", unavailable());
    await refusal(() => ringOf(again, guards, clock).encrypt(noise(1)));
    expect((await refusal(() => ringOf(again, guards, clock).encrypt(noise(1)))).detail).toBe("circuit-open");
  });

  test("is the object's own where the key has no name", async () => {
    const guards = new ProviderGuards({ keyOf: () => undefined, breaker: { failures: 1 } });
    const clock = fakeClock();
    await refusal(() => ringOf(failing("k", unavailable()), guards, clock).encrypt(noise(1)));
    expect(await ringOf(key("k"), guards, clock).encrypt(noise(1))).toBeInstanceOf(Uint8Array);
  });

  test.each<readonly [string, () => unknown]>([
    ["keyOf", () => new ProviderGuards({ keyOf: () => "" }).of(kek())],
    ["hostOf", () => new ProviderGuards({ hostOf: () => "" }).of(kek())],
    ["keyOf", () => Reflect.construct(ProviderGuards, [{ keyOf: "tenant-1" }])],
    ["maxKeys", () => new ProviderGuards({ maxKeys: 0 })],
  ])("%s is checked", async (name, make) => {
    const { code, message } = await refusal(make);
    expect([code, message]).toEqual(["invalid-argument", expect.stringContaining(name)]);
  });
});

describe("the breaker of a service host", () => {
  const CONNECTION = new EnvelockError("unavailable", "no connection", { detail: "connection" });

  test("opens by failed connections of all its keys, each of which alone would not", async () => {
    const { guards, clock } = byHost({ breaker: { failures: 3, openMs: 1000 } });
    for (let at = 0; at < 3; at++) await refusal(() => ringOf(failing(`kms/${at}`, CONNECTION), guards, clock).encrypt(noise(1)));
    const events: KeyringEvent[] = [];
    const quiet = key("kms/quiet");
    const keyring = ringOf(quiet, guards, clock, 10_000, (event) => events.push(event));
    const refused = await refusal(() => keyring.encrypt(noise(1)));
    expect([refused.code, refused.detail, refused.whose, refused.retryAfterMs]).toEqual(["unavailable", "circuit-open", "service", 1000]);
    expect(quiet.calls).toEqual([]);
    expect(await ringOf(key("vault/1"), guards, clock).encrypt(noise(1))).toBeInstanceOf(Uint8Array);
    await clock.advance(1000);
    await keyring.encrypt(noise(1));
    expect(events.filter(({ type }) => type === "breaker")).toMatchObject([
      { state: "half-open", host: "kms" },
      { state: "closed", host: "kms" },
    ]);
  });

  test.each([
    ["an answer of 503", unavailable()],
    ["a refusal", new EnvelockError("access-denied", "no")],
    ["throttling", new EnvelockError("rate-limited", "slower")],
    ["a timeout", new EnvelockError("timeout", "slow")],
  ])("counts no %s", async (_, error) => {
    const { guards, clock } = byHost({ breaker: { failures: 3 } });
    for (let at = 0; at < 9; at++) await refusal(() => ringOf(failing(`kms/${at}`, error), guards, clock).encrypt(noise(1)));
    expect(await ringOf(key("kms/quiet"), guards, clock).encrypt(noise(1))).toBeInstanceOf(Uint8Array);
  });

  test("begins anew after an answer, and not after a timeout", async () => {
    for (const [between, isOpen] of [
      [unavailable(), false],
      [new EnvelockError("timeout", "slow"), true],
    ] as const) {
      const { guards, clock } = byHost({ breaker: { failures: 2 } });
      for (const [at, error] of [CONNECTION, between, CONNECTION].entries()) {
        await refusal(() => ringOf(failing(`kms/${at}`, error), guards, clock).encrypt(noise(1)));
      }
      const quiet = ringOf(key("kms/quiet"), guards, clock).encrypt(noise(1));
      expect(
        await quiet.then(
          () => false,
          () => true,
        ),
      ).toBe(isOpen);
    }
  });
});

function byName(options: ProviderGuardsOptions) {
  return { guards: new ProviderGuards({ keyOf: (provider) => NAMES.get(provider), ...options }), clock: fakeClock() };
}

function byHost(options: ProviderGuardsOptions) {
  return { guards: new ProviderGuards({ hostOf: (provider) => NAMES.get(provider)?.split("/")[0], ...options }), clock: fakeClock() };
}

function ringOf(
  provider: KeyProvider,
  guards: ProviderGuards,
  clock: FakeClock,
  attemptDeadlineMs = 10_000,
  onEvent?: (event: KeyringEvent) => void,
): Keyring {
  return new Keyring({ wrapWith: [provider], guards, clock, retry: false, attemptDeadlineMs, ...(onEvent && { onEvent }) });
}

/** A provider object of the key of this name: a new one each time. */
function key(name: string, replaced: Partial<KeyProvider> = {}): WatchedProvider {
  const provider = watched(kek(name), replaced);
  NAMES.set(provider, name);
  return provider;
}

function failing(name: string, error: EnvelockError): WatchedProvider {
  return key(name, { wrap: () => Promise.reject(error) });
}

function hanging(name: string): WatchedProvider {
  return key(name, { wrap: () => new Promise(() => undefined) });
}

const NAMES = new WeakMap<object, string>();
