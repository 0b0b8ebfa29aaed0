import { EnvelockError, type ErrorCode } from "../../src/core/base/errors.ts";
import { waitFor } from "../../src/core/base/wait.ts";
import type { KeyProvider } from "../../src/core/contracts/key-provider.ts";

/** What can go wrong in one call of a provider. */
export type ProviderFault =
  /** Answers, but late. */
  | { readonly kind: "delay"; readonly delayMs: number }
  /** `rate-limited`, with or without word of how long to wait. */
  | { readonly kind: "throttle"; readonly retryAfterMs?: number }
  | { readonly kind: "fail"; readonly code: ErrorCode }
  /** Throws an error that is none of the library's, as a broken provider does. */
  | { readonly kind: "throw" }
  /** Never answers; rejects with the signal's reason when that aborts. */
  | { readonly kind: "hang" }
  /** Never answers, whatever the signal. */
  | { readonly kind: "hang-deaf" }
  /** Gives `bytes` bytes for an unwrapped or wrapped key. */
  | { readonly kind: "wrong-length"; readonly bytes: number }
  /** Gives a key of the right length that is another one. Of a wrap, it wraps another one, as no caller can see. */
  | { readonly kind: "wrong-key" };

export type FaultyMethod = "wrap" | "unwrap" | "current";

/** Decides what becomes of each call; undefined lets it through. `call` counts all calls of the provider, from 0. */
export type FaultPlan = (call: number, method: FaultyMethod) => ProviderFault | undefined;

export interface FaultyProviderOptions {
  /** How to wait; for tests with a clock of their own. It need not heed the signal. */
  readonly sleep?: (delayMs: number) => Promise<void>;
}

/**
 * `provider`, with faults, for tests of what stands before it. Everything that the plan lets through is the provider's own answer.
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
 * Faults at random, the same for the same seed.
 *
 * @param rate how many of the calls, from 0 to 1
 * @param faults drawn from with equal chances
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
 * The first calls one by one, in order; what comes after the script is let through.
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
