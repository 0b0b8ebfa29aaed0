import { describe, expect, test } from "vitest";
import { conformance, faultyProvider, type ProviderFault, scriptedFaults, seededFaults } from "../../providers/conformance/index.ts";
import { EnvelockError } from "../../src/core/base/errors.ts";
import type { WrapOptions } from "../../src/core/contracts/key-provider.ts";
import { noise } from "../support/arbitraries.ts";
import { kek } from "../support/keks.ts";
import { refusal } from "../support/refusal.ts";

const OPTIONS: WrapOptions = { keyContext: {}, wrapAad: () => noise(20) };

describe("a faulty provider", () => {
  test.each([
    [{ kind: "throttle" }, { code: "rate-limited", retryable: true, retryAfterMs: undefined }],
    [
      { kind: "throttle", retryAfterMs: 70 },
      { code: "rate-limited", retryAfterMs: 70 },
    ],
    [
      { kind: "fail", code: "key-disabled" },
      { code: "key-disabled", retryable: false },
    ],
  ] satisfies readonly [ProviderFault, object][])("%j", async (fault, error) => {
    const provider = faultyProvider(kek(), scriptedFaults([fault, fault, fault]));
    const recipient = await kek().wrap(noise(32), OPTIONS);
    expect(await refusal(() => provider.wrap(noise(32), OPTIONS))).toMatchObject(error);
    expect(await refusal(() => provider.unwrap(recipient, OPTIONS))).toMatchObject(error);
    expect(await refusal(() => provider.current?.())).toMatchObject(error);
    expect(await provider.unwrap(recipient, OPTIONS)).toEqual(noise(32));
  });

  test("throws an error of its own", async () => {
    const provider = faultyProvider(kek(), scriptedFaults([{ kind: "throw" }]));
    const error = await provider.wrap(noise(32), OPTIONS).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(TypeError);
    expect(error).not.toBeInstanceOf(EnvelockError);
  });

  test("gives wrong lengths and wrong keys", async () => {
    const recipient = await kek().wrap(noise(32), OPTIONS);
    const faults: ProviderFault[] = [{ kind: "wrong-length", bytes: 16 }, { kind: "wrong-key" }];
    const provider = faultyProvider(kek(), scriptedFaults([...faults, ...faults]));
    expect(await provider.unwrap(recipient, OPTIONS)).toHaveLength(16);
    const wrong = await provider.unwrap(recipient, OPTIONS);
    expect(wrong).toHaveLength(32);
    expect(wrong).not.toEqual(noise(32));
    expect((await provider.wrap(noise(32), OPTIONS)).wrapped).toHaveLength(16);
    const lost = await provider.wrap(noise(32), OPTIONS);
    expect(await provider.unwrap(lost, OPTIONS)).not.toEqual(noise(32));
  });

  test("hangs until its signal aborts, or deafly for ever", async () => {
    const provider = faultyProvider(kek(), scriptedFaults([{ kind: "hang" }, { kind: "hang-deaf" }]));
    const controller = new AbortController();
    const ends: unknown[] = [];
    for (let call = 0; call < 2; call++) {
      provider.wrap(noise(32), { ...OPTIONS, signal: controller.signal }).catch((error: unknown) => ends.push(error));
    }
    controller.abort("enough");
    await new Promise((resolve) => setImmediate(resolve));
    expect(ends).toEqual(["enough"]);
  });

  test("is late by the given time, and no later than its signal", async () => {
    const slept: number[] = [];
    const sleep = async (delayMs: number): Promise<void> => void slept.push(delayMs);
    const late: ProviderFault = { kind: "delay", delayMs: 25 };
    const provider = faultyProvider(kek(), scriptedFaults([late]), { sleep });
    const recipient = await provider.wrap(noise(32), OPTIONS);
    expect(slept).toEqual([25]);
    expect(await kek().unwrap(recipient, OPTIONS)).toEqual(noise(32));

    const stuck = faultyProvider(kek(), scriptedFaults([late]), { sleep: () => new Promise(() => {}) });
    const controller = new AbortController();
    const call = stuck.wrap(noise(32), { ...OPTIONS, signal: controller.signal }).catch((error: unknown) => error);
    controller.abort("enough");
    expect(await call).toBe("enough");
  });

  test("a seed repeats itself, at the given rate", () => {
    const faults: ProviderFault[] = [{ kind: "hang" }, { kind: "throw" }];
    const draw = (seed: number): readonly (string | undefined)[] => {
      const plan = seededFaults(seed, 0.25, faults);
      return Array.from({ length: 4000 }, (_, call) => plan(call, "wrap")?.kind);
    };
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
    for (const kind of ["hang", "throw"]) {
      const share = draw(3).filter((drawn) => drawn === kind).length / 4000;
      expect(share).toBeGreaterThan(0.1);
      expect(share).toBeLessThan(0.15);
    }
  });
});

describe("with no fault planned it meets the contract", () => {
  const cases = conformance({
    open: () => faultyProvider(kek(), () => undefined),
    openOther: () => faultyProvider(kek("k2"), () => undefined),
    bindsContext: true,
    flips: "each-byte",
  });
  for (const { name, run } of cases) test(name, run);
});
