import { describe, expect, test } from "vitest";
import { EnvelockError } from "../../src/core/base/errors.ts";
import type { DataKeyStore } from "../../src/core/contracts/data-key-store.ts";
import { type FakeClock, fakeClock } from "../support/fake-clock.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { EMAIL, world } from "./set-up.ts";

// A process that stands still: a function between two requests, a laptop that is closed, SIGSTOP. Its timers are late, and where the
// machine is suspended the monotonic clock stands still too.

describe("a process that stood still for longer than maxStaleMs", () => {
  test.each(["both clocks go on", "the monotonic clock stood still"])("reads the store before it hands out a cipher: %s", async (how) => {
    const { open, store, clock } = world();
    const frozen = freezable();
    const dataKeys = open({ clock: frozen });
    const email = await dataKeys.field(EMAIL);
    const token = email.encrypt("x");
    frozen.freeze(3_600_000, how === "both clocks go on");
    expect((await dataKeys.field(EMAIL)).decrypt(token)).toBe("x");
    expect(email.decrypt(token)).toBe("x");

    await open({ clock }).shred();
    frozen.freeze(3_600_000, how === "both clocks go on");
    expect(await refusalCode(async () => (await dataKeys.field(EMAIL)).decrypt(token))).toBe("key-shredded");
    expect(await store.list("")).toHaveLength(1);
  });

  test("waits too in the async methods, and the others say that it passes", async () => {
    const { open } = world();
    const clock = fakeClock();
    const email = await open({ clock }).field(EMAIL);
    const token = email.encrypt("x");
    clock.advanceNow(3_600_000); // the timer is due, and finds that it is late
    expect(await refusal(() => email.decrypt(token))).toMatchObject({ code: "unavailable", retryable: true });
    expect(await email.decryptAsync(token)).toBe("x");
    expect(email.decrypt(token)).toBe("x");
  });

  test("whose connection broke meanwhile reads once more", async () => {
    const { open, store } = world();
    const clock = fakeClock();
    const broken = { times: 0 };
    const list: DataKeyStore["list"] = async (scope) => {
      if (broken.times-- > 0) throw new EnvelockError("unavailable", "the connection was closed");
      return await store.list(scope);
    };
    const dataKeys = open({ clock, store: { ...store, list } });
    const token = (await dataKeys.field(EMAIL)).encrypt("x");
    broken.times = 2;
    clock.advanceNow(3_600_000);
    expect((await clock.finish(dataKeys.field(EMAIL))).decrypt(token)).toBe("x");
    broken.times = 100;
    clock.advanceNow(3_600_000);
    const error = await refusal(() => clock.finish(dataKeys.field(EMAIL)));
    expect([error.code, error.retryable]).toEqual(["unavailable", true]);
    broken.times = 0;
    expect((await clock.finish(dataKeys.field(EMAIL))).decrypt(token)).toBe("x");
  });
});

test("a store that is down keeps nobody waiting for as long as what is loaded may be used", async () => {
  const { open, store, clock } = world();
  const isDown = { value: false };
  const list: DataKeyStore["list"] = async (scope) => (isDown.value ? await new Promise(() => undefined) : await store.list(scope));
  const dataKeys = open({ store: { ...store, list } });
  const token = (await dataKeys.field(EMAIL)).encrypt("x");
  isDown.value = true;
  await clock.advance(50_000);
  expect((await dataKeys.field(EMAIL)).decrypt(token)).toBe("x");
});

describe("more scopes than maxScopes at once", () => {
  test("are all served: what was handed out or used in the last ten seconds stays, and leaves when it is idle", async () => {
    const { open, clock } = world();
    const dataKeys = open({ maxScopes: 10 });
    const ciphers = await Promise.all(
      Array.from({ length: 30 }, (_, tenant) => dataKeys.field({ ...EMAIL, scope: { tenant: `${tenant}` }, blindIndex: {} })),
    );
    await clock.advance(5000);
    for (const cipher of ciphers) expect([cipher.decrypt(cipher.encrypt("x")), cipher.blindIndex("x")]).toEqual(["x", expect.any(String)]);
    await clock.advance(60_000);
    const codes = ciphers.flatMap((cipher) => [codeOf(() => cipher.encrypt("x")), codeOf(() => cipher.blindIndex("x"))]);
    expect(codes.filter((code) => code === undefined)).toHaveLength(10);
    expect(codes.filter((code) => code === "closed")).toHaveLength(50);
  });
});

function codeOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return error instanceof EnvelockError ? error.code : "none";
  }
}

/** Time that passes without a timer being run. */
function freezable(): FakeClock & { freeze(ms: number, isCounted: boolean): void } {
  const clock = fakeClock();
  let [monotonic, unix] = [0, 0];
  return {
    ...clock,
    get timers() {
      return clock.timers;
    },
    monotonicMs: () => clock.monotonicMs() + monotonic,
    unixMs: () => clock.unixMs() + unix,
    freeze(ms, isCounted) {
      unix += ms;
      if (isCounted) monotonic += ms;
    },
  };
}
