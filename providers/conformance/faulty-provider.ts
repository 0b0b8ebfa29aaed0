import { EnvelockError, type ErrorCode } from "../../src/core/base/errors.ts";
import { waitFor } from "../../src/core/base/wait.ts";
import type { KeyProvider } from "../../src/core/contracts/key-provider.ts";

/** A fault in one call of a provider. */
export type ProviderFault =
  /** Answers, but late. */
  | { readonly kind: "delay"; readonly delayMs: number }
  /** Fails with `rate-limited`, with or without a time to wait. */
  | { readonly kind: "throttle"; readonly retryAfterMs?: number }
  | { readonly kind: "fail"; readonly code: ErrorCode }
  /** Throws an error of another class, as a broken provider does. */
  | { readonly kind: "throw" }
  /** Never answers; rejects with the signal's reason when it aborts. */
  | { readonly kind: "hang" }
  /** Never answers, and ignores the signal. */
  | { readonly kind: "hang-deaf" }
  /** Returns `bytes` bytes as the unwrapped or wrapped key. */
  | { readonly kind: "wrong-length"; readonly bytes: number }
  /** Returns another key of the right length. A wrap then wraps another key, which no caller can see. */
  | { readonly kind: "wrong-key" };

export type FaultyMethod = "wrap" | "unwrap" | "current";

/** Decides the fault of each call; undefined lets it through. `call` counts all calls of the provider, from 0. */
export type FaultPlan = (call: number, method: FaultyMethod) => ProviderFault | undefined;

export interface FaultyProviderOptions {
  /** Waits, for tests with a clock of their own. It may ignore the signal. */
  readonly sleep?: (delayMs: number) => Promise<void>;
}

/**
 * Wraps `provider` with faults, for tests of the code that calls it. A call that the plan lets through gets the provider's own answer.
 *
 * @see seededFaults, scriptedFaults
 * @example
 * ```ts
 * import type { KeyProvider } from "envelock";
 * import { faultyProvider, scriptedFaults } from "envelock/providers/conformance";
 *
 * // A provider whose first call fails.
 * export const flaky = (provider: KeyProvider) => faultyProvider(provider, scriptedFaults([{ kind: "fail", code: "unavailable" }]));
 * ```
 */
export function faultyProvider(provider: KeyProvider, plan: FaultPlan, { sleep = realSleep }: FaultyProviderOptions = {}): KeyProvider {
  let calls = 0;
  const faulty = async <T>(
    method: FaultyMethod,
    signal: AbortSignal | undefined,
    call: () => Promise<T>,
    distort: Distort<T>,
  ): Promise<T> => {
    signal?.throwIfAborted();
    const fault = plan(calls++, method);
    if (fault === undefined) return await call();
    switch (fault.kind) {
      case "delay":
        await waitFor(sleep(fault.delayMs), { signal });
        return await call();
      case "throttle":
        throw new EnvelockError("rate-limited", "told to throttle", {
          ...(fault.retryAfterMs !== undefined && { retryAfterMs: fault.retryAfterMs }),
        });
      case "fail":
        throw new EnvelockError(fault.code, `told to fail with ${fault.code}`);
      case "throw":
        throw new TypeError("told to throw");
      case "hang":
        return await waitFor(new Promise<T>(() => {}), { signal });
      case "hang-deaf":
        return await new Promise<T>(() => {});
      default:
        return await distort(fault, call);
    }
  };
  const { current, close } = provider;
  return {
    name: provider.name,
    owns: (keyId) => provider.owns(keyId),
    wrap: (dek, options) =>
      faulty(
        "wrap",
        options.signal,
        () => provider.wrap(dek, options),
        async (fault) => {
          if (fault.kind === "wrong-key") return await provider.wrap(another(dek), options);
          return { ...(await provider.wrap(dek, options)), wrapped: new Uint8Array(fault.bytes) };
        },
      ),
    unwrap: (recipient, options) =>
      faulty(
        "unwrap",
        options.signal,
        () => provider.unwrap(recipient, options),
        async (fault, call) => {
          return fault.kind === "wrong-key" ? another(await call()) : new Uint8Array(fault.bytes);
        },
      ),
    ...(current && {
      current: (options) =>
        faulty(
          "current",
          options?.signal,
          () => current.call(provider, options),
          (_, call) => call(),
        ),
    }),
    ...(close && { close: () => close.call(provider) }),
  };
}

/**
 * Makes random faults, the same for the same seed.
 *
 * @param rate the share of the calls that fail, from 0 to 1
 * @param faults the faults, drawn with equal chances
 * @example
 * ```ts
 * import { seededFaults } from "envelock/providers/conformance";
 *
 * const plan = seededFaults(4711, 0.2, [{ kind: "throttle" }, { kind: "hang" }]); // one call in five, the same for the same seed
 * ```
 */
export function seededFaults(seed: number, rate: number, faults: readonly ProviderFault[]): FaultPlan {
  const random = seededRandom(seed);
  return () => (random() < rate ? faults[Math.floor(random() * faults.length)] : undefined);
}

/**
 * Makes a plan for the first calls, one by one, in order. Calls beyond the script are let through.
 *
 * @example
 * ```ts
 * import { scriptedFaults } from "envelock/providers/conformance";
 *
 * const plan = scriptedFaults([undefined, { kind: "throttle", retryAfterMs: 500 }]); // the second call is throttled
 * ```
 */
export function scriptedFaults(script: readonly (ProviderFault | undefined)[]): FaultPlan {
  return (call) => script[call];
}

type Distorting = Extract<ProviderFault, { kind: "wrong-length" | "wrong-key" }>;

type Distort<T> = (fault: Distorting, call: () => Promise<T>) => Promise<T>;

function another(key: Uint8Array): Uint8Array {
  return key.map((byte) => byte ^ 0xff);
}

function realSleep(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}

/** Mulberry32: small, and good enough to vary a test. */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
