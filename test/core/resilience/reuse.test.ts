import { describe, expect, test } from "vitest";
import type { ProviderFault } from "../../../providers/conformance/index.ts";
import type { EnvelockError } from "../../../src/core/base/errors.ts";
import type { ReuseOptions } from "../../../src/core/key-source/reused-data-key.ts";
import { inspect } from "../../../src/core/keyring/inspect.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import type { KeyringOptions } from "../../../src/core/keyring/keyring-options.ts";
import type { KeyringEvent } from "../../../src/core/telemetry/events.ts";
import { noise } from "../../support/arbitraries.ts";
import { type FakeClock, fakeClock } from "../../support/fake-clock.ts";
import { kek, watched } from "../../support/keks.ts";
import { refusalCode } from "../../support/refusal.ts";
import { held, timed, unavailable } from "./backends.ts";
import { timesFor } from "./load.ts";

const CALLS = timesFor(10_000);
const DOWN: ProviderFault = { kind: "fail", code: "unavailable" };

describe("data-key reuse", () => {
  test("is off unless asked for: every envelope has a data key of its own", async () => {
    const provider = watched(kek());
    const keyring = new Keyring(provider);
    const kids = await Promise.all(Array.from({ length: 10 }, async () => kidOf(await keyring.encrypt(noise(1)))));
    expect(new Set(kids).size).toBe(10);
    expect(provider.calls).toHaveLength(10);
  });

  test(`${CALLS} encryptions of maxUses ${CALLS / 10} make 10 wraps, one after the other or at once`, async () => {
    for (const atOnce of [1, CALLS]) {
      const { keyring, provider } = reusing({ maxUses: CALLS / 10 });
      const uses = new Map<string, number>();
      for (let done = 0; done < CALLS; done += atOnce) {
        const envelopes = await Promise.all(Array.from({ length: atOnce }, () => keyring.encrypt(noise(1))));
        for (const envelope of envelopes) uses.set(kidOf(envelope), (uses.get(kidOf(envelope)) ?? 0) + 1);
      }
      expect(provider.calls).toEqual(Array.from({ length: 10 }, () => "wrap"));
      expect([...uses.values()]).toEqual(Array.from({ length: 10 }, () => CALLS / 10));
    }
  });

  test("what is under one data key opens, each value in its own context", async () => {
    const { keyring } = reusing({});
    const envelopes = await Promise.all([1, 2, 3].map((row) => keyring.encrypt(noise(9, row), { context: { row: `${row}` } })));
    expect(new Set(envelopes.map(kidOf)).size).toBe(1);
    for (const [index, envelope] of envelopes.entries()) {
      expect(await keyring.decrypt(envelope, { context: { row: `${index + 1}` } })).toEqual(noise(9, index + 1));
      expect(await refusalCode(() => keyring.decrypt(envelope, { context: { row: `${index + 2}` } }))).toBe("authentication-failed");
    }
  });

  test("maxBytes counts plaintext; a value beyond it gets a key to itself", async () => {
    const { keyring } = reusing({ maxBytes: 100 });
    const sizes = [60, 40, 1, 99, 500, 1];
    const kids: string[] = [];
    for (const size of sizes) kids.push(kidOf(await keyring.encrypt(noise(size))));
    expect(kids.map((kid) => kids.indexOf(kid))).toEqual([0, 0, 2, 2, 4, 5]);
  });

  test("maxAgeMs is exact", async () => {
    const { keyring, clock } = reusing({ maxAgeMs: 1000, refreshAheadMs: 0 });
    const first = kidOf(await keyring.encrypt(noise(1)));
    await clock.advance(999);
    expect(kidOf(await keyring.encrypt(noise(1)))).toBe(first);
    await clock.advance(1);
    expect(kidOf(await keyring.encrypt(noise(1)))).not.toBe(first);
  });

  test("concurrent callers wait for one wrap; an abort ends that caller only", async () => {
    const clock = fakeClock();
    const inner = held();
    const keyring = new Keyring({ wrapWith: [inner], clock, reuse: {} });
    const controller = new AbortController();
    const aborted = keyring.encrypt(noise(1), { signal: controller.signal }).catch((error: unknown) => error);
    const others = Array.from({ length: 100 }, () => keyring.encrypt(noise(1)));
    await clock.advance(0);
    controller.abort("left");
    expect(await aborted).toBe("left");
    inner.answer();
    expect(new Set((await Promise.all(others)).map(kidOf)).size).toBe(1);
    expect(inner.calls).toEqual(["wrap"]);
  });

  test("a caller who finds each fetched key used up by others is kept waiting no longer than the deadline", async () => {
    const clock = fakeClock();
    const { provider } = timed(clock, () => ({ kind: "delay", delayMs: 4000 }));
    const keyring = new Keyring({ wrapWith: [provider], clock, reuse: { maxUses: 1 }, deadlineMs: 10_000 });
    const calls = Array.from({ length: 5 }, () =>
      keyring.encrypt(noise(1)).then(
        () => "ok",
        (error: EnvelockError) => error.code,
      ),
    );
    expect(await clock.finish(Promise.all(calls))).toEqual(["ok", "ok", "timeout", "timeout", "timeout"]);
    expect(clock.monotonicMs()).toBe(10_000);
  });

  test("data keys that are handed out are never the reused one", async () => {
    const { keyring } = reusing({});
    const envelope = await keyring.encrypt(noise(1));
    const { dataKey } = await keyring.createDataKey();
    expect(dataKey.kid).not.toBe(kidOf(envelope));
  });

  test("every recipient of wrapWith stands in what is reused", async () => {
    const keyring = new Keyring({ wrapWith: [kek("a"), kek("b")], reuse: {} });
    const envelopes = [await keyring.encrypt(noise(1)), await keyring.encrypt(noise(1))];
    for (const envelope of envelopes) {
      for (const keyId of ["a", "b"]) expect(await new Keyring(kek(keyId)).decrypt(envelope)).toEqual(noise(1));
    }
  });
});

describe("refresh ahead", () => {
  test("fetches in the background, so that no caller waits", async () => {
    const clock = fakeClock();
    const inner = held();
    const keyring = new Keyring({ wrapWith: [inner], clock, reuse: { maxAgeMs: 1000, refreshAheadMs: 200 } });
    const first = keyring.encrypt(noise(1));
    await clock.advance(0);
    inner.answer();
    const kid = kidOf(await first);
    await clock.advance(799);
    expect(kidOf(await keyring.encrypt(noise(1)))).toBe(kid);
    expect(inner.calls).toHaveLength(1);
    await clock.advance(1);
    for (let call = 0; call < 50; call++) expect(kidOf(await keyring.encrypt(noise(1)))).toBe(kid);
    expect(inner.calls).toHaveLength(2);
    inner.answer();
    await clock.advance(0);
    expect(kidOf(await keyring.encrypt(noise(1)))).not.toBe(kid);
    expect(inner.calls).toHaveLength(2);
  });

  test("while the provider is down the old key serves until its bound, then calls fail with the provider's error", async () => {
    const { keyring, clock, events } = downAfter(1, { maxAgeMs: 60_000, refreshAheadMs: 20_000 });
    const kid = kidOf(await keyring.encrypt(noise(1)));
    for (let second = 1; second < 60; second++) {
      await clock.advance(1000);
      expect(kidOf(await keyring.encrypt(noise(1)))).toBe(kid);
    }
    await clock.advance(1000);
    expect(await refusalCode(() => keyring.encrypt(noise(1)))).toBe("unavailable");
    const refreshes = events.filter(({ type }) => type === "refresh");
    expect(refreshes.length).toBeGreaterThan(1);
    expect(refreshes).toMatchObject(refreshes.map(() => ({ outcome: "unavailable" })));
    expect(refreshes.length).toBeLessThan(6); // one try in every quarter of the time ahead
  });

  test("and when it is back the next call finds a new key", async () => {
    const { keyring, clock, fault } = downAfter(1, { maxAgeMs: 60_000, refreshAheadMs: 20_000 });
    const kid = kidOf(await keyring.encrypt(noise(1)));
    await clock.advance(45_000);
    expect(kidOf(await keyring.encrypt(noise(1)))).toBe(kid);
    await clock.advance(5000);
    fault.isOver = true;
    expect(kidOf(await keyring.encrypt(noise(1)))).toBe(kid);
    await clock.advance(0);
    expect(kidOf(await keyring.encrypt(noise(1)))).not.toBe(kid);
  });

  test.each(["key-disabled", "access-denied", "key-not-found"] as const)("%s is no outage: the old key is let go at once", async (code) => {
    const { keyring, clock } = downAfter(1, { maxAgeMs: 60_000, refreshAheadMs: 20_000 }, { kind: "fail", code });
    await keyring.encrypt(noise(1));
    await clock.advance(40_000);
    await keyring.encrypt(noise(1)); // starts the refresh
    await clock.advance(0);
    expect(await refusalCode(() => keyring.encrypt(noise(1)))).toBe(code);
  });

  test("a refused unwrap lets go of the key that the same version wrapped", async () => {
    const clock = fakeClock();
    const { provider } = timed(clock, (_, method) => (method === "unwrap" ? { kind: "fail", code: "key-disabled" } : undefined));
    const keyring = new Keyring({ wrapWith: [provider], clock, reuse: {} });
    const envelope = await keyring.encrypt(noise(1));
    expect(await refusalCode(() => keyring.decrypt(envelope))).toBe("key-disabled");
    expect(kidOf(await keyring.encrypt(noise(1)))).not.toBe(kidOf(envelope));
  });
});

describe("forget and close", () => {
  test("forget lets go of the key, also of one that is being fetched", async () => {
    const clock = fakeClock();
    const inner = held();
    const keyring = new Keyring({ wrapWith: [inner], clock, reuse: {} });
    const first = keyring.encrypt(noise(1));
    await clock.advance(0);
    expect(keyring.forget()).toBe(0);
    inner.answer(); // of the fetch that was forgotten
    await clock.advance(0);
    inner.answer();
    const kid = kidOf(await first);
    expect(keyring.forget({ keyId: "other" })).toBe(0);
    expect(kidOf(await keyring.encrypt(noise(1)))).toBe(kid);
    expect(keyring.forget({ keyId: "k1" })).toBe(1);
    const next = keyring.encrypt(noise(1));
    await clock.advance(0);
    inner.answer();
    expect(kidOf(await next)).not.toBe(kid);
    expect(inner.calls).toHaveLength(3);
  });

  test("a call that waits for a key when its keyring closes finishes, and nothing is kept", async () => {
    const clock = fakeClock();
    const inner = held();
    const keyring = new Keyring({ wrapWith: [inner], clock, reuse: {} });
    const call = keyring.encrypt(noise(1));
    await clock.advance(0);
    await keyring.close();
    inner.answer(); // of the fetch that is not kept
    await clock.advance(0);
    inner.answer();
    expect(await new Keyring(kek()).decrypt(await call)).toEqual(noise(1));
    expect(keyring.status().hasReusedDataKey).toBe(false);
    expect(await refusalCode(() => keyring.encrypt(noise(1)))).toBe("closed");
  });

  test("a key that is too old is wiped, also if nobody asks for it", async () => {
    const { keyring, clock } = reusing({ maxAgeMs: 1000 });
    await keyring.encrypt(noise(1));
    await clock.advance(999);
    expect(keyring.status().hasReusedDataKey).toBe(true);
    await clock.advance(1);
    expect(keyring.status().hasReusedDataKey).toBe(false);
  });

  test("a failed fetch is told to every waiting caller, and tried anew by the next", async () => {
    const clock = fakeClock();
    const inner = held();
    const keyring = new Keyring({ wrapWith: [inner], clock, reuse: {}, retry: false });
    const calls = [1, 2, 3].map(() => refusalCode(() => keyring.encrypt(noise(1))));
    await clock.advance(0);
    inner.answer(unavailable());
    expect(await Promise.all(calls)).toEqual(["unavailable", "unavailable", "unavailable"]);
    const next = keyring.encrypt(noise(1));
    await clock.advance(0);
    inner.answer();
    await next;
  });
});

function kidOf(envelope: Uint8Array): string {
  const inspected = inspect(envelope);
  return "kid" in inspected ? inspected.kid : "";
}

function reusing(reuse: ReuseOptions) {
  const clock = fakeClock();
  const provider = watched(kek());
  return { keyring: new Keyring({ wrapWith: [provider], clock, reuse }), provider, clock };
}

/** A provider that answers `calls` times and then fails, until the fault is over. */
function downAfter(calls: number, reuse: ReuseOptions, failure: ProviderFault = DOWN) {
  const clock: FakeClock = fakeClock();
  const fault = { isOver: false };
  const { provider } = timed(clock, (call) => (call < calls || fault.isOver ? undefined : failure));
  const events: KeyringEvent[] = [];
  const options: KeyringOptions = { wrapWith: [provider], clock, reuse, retry: false, onEvent: (event) => events.push(event) };
  return { keyring: new Keyring(options), clock, events, fault };
}
