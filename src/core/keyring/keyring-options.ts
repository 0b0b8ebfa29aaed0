import type { Context } from "../base/context.ts";
import { invalidArgument, unreadable } from "../base/errors.ts";
import { type OptionNames, refuseUnknown } from "../base/options.ts";
import type { KeyProvider } from "../contracts/key-provider.ts";
import type { RandomSource } from "../contracts/random-source.ts";
import { MAX_RECIPIENTS } from "../format/key-record.ts";
import { PROVIDER_NAME } from "../format/recipient.ts";
import type { CacheOptions, DataKeyCache } from "../key-source/data-key-cache.ts";
import type { ReuseOptions } from "../key-source/reused-data-key.ts";
import type { ProviderStatus } from "../resilience/guarded-backend.ts";
import { RESILIENCE_OPTIONS, type ResilienceOptions } from "../resilience/policy.ts";
import type { KeyringEvent } from "../telemetry/events.ts";
import type { Telemetry } from "../telemetry/observer.ts";
import type { Gate } from "./gate.ts";

export interface KeyringOptions extends ResilienceOptions {
  /**
   * The keys that encrypt. Each becomes a recipient of every envelope, and can decrypt too. At most 16; without any, the keyring only
   * decrypts.
   */
  readonly wrapWith?: readonly KeyProvider[];
  /** Keys that only decrypt, tried after those of `wrapWith`, such as old ones. */
  readonly unwrapWith?: readonly KeyProvider[];
  /**
   * The key context: the pairs that are fixed for every data key of this keyring, such as tenant and purpose. They are part of every
   * value's context. A key service may see them in clear and log them.
   */
  readonly context?: Context;
  /**
   * A second generator for data keys, such as an HSM's. Each key is the exclusive-or of its bytes and as many of this machine's. A data key
   * then costs a call, and is not made if the call fails.
   */
  readonly randomness?: RandomSource;
  /** Encrypts many values under one data key, within these bounds. Without it every envelope has a data key of its own. */
  readonly reuse?: ReuseOptions;
  /** Keeps unwrapped data keys within these bounds; several keyrings may share one cache. Without it every decrypt unwraps. */
  readonly cache?: CacheOptions | DataKeyCache;
  /**
   * Decides on each call before a data key is used, made or unwrapped, also one that is cached or reused, and on each use of a cipher of
   * `DataKeys`, which is synchronous. It refuses by an exception or a rejection, which the caller gets as it is.
   */
  readonly gate?: Gate;
  /** Called at once with every call, attempt, retry and change, for audit logs. What it throws is ignored. */
  readonly onEvent?: (event: KeyringEvent) => void;
  /** Spans and metrics, such as `openTelemetry()` of `envelock/open-telemetry`. */
  readonly telemetry?: Telemetry;
}

export interface KeyringStatus {
  /** One entry for each provider, those of `wrapWith` first. */
  readonly providers: readonly ProviderStatus[];
  /** The state of the option `randomness`. Undefined without it. */
  readonly randomness: ProviderStatus | undefined;
  /** The number of data keys in the cache, which other keyrings may share. */
  readonly cachedDataKeys: number;
  /** Whether a data key is kept for reuse. */
  readonly hasReusedDataKey: boolean;
  /**
   * The time since the oldest data key that serves from memory was unwrapped or made, in milliseconds: in the cache, for reuse, and by the
   * `DataKeys` of this keyring. With the option `tenant` the cache counts with the keys of that tenant alone. Undefined if none serves.
   */
  readonly oldestDataKeyMs: number | undefined;
}

/**
 * Reads the options that a keyring is made with.
 *
 * @throws `invalid-argument` for an unknown option, no provider at all, too many, one that lacks a method or has a bad name, and for a
 *   `randomness`, `gate`, `onEvent` or `telemetry` that cannot be one
 */
export function parseKeyringOptions(options: KeyringOptions | KeyProvider): KeyringOptions {
  if (typeof options !== "object" || options === null)
    throw invalidArgument("a keyring needs its options, or a provider alone", HOW_TO_MAKE);
  const given: KeyringOptions = isProvider(options) ? { wrapWith: [options] } : options;
  refuseUnknown(given, KEYRING_OPTIONS, "Keyring");
  const wrapWith = providersOf(given.wrapWith, "wrapWith");
  const unwrapWith = providersOf(given.unwrapWith, "unwrapWith");
  const { randomness, onEvent, telemetry, gate } = given;
  if (wrapWith.length + unwrapWith.length === 0) throw invalidArgument("a keyring needs a provider in wrapWith or unwrapWith", HOW_TO_MAKE);
  if (wrapWith.length > MAX_RECIPIENTS) throw invalidArgument(`wrapWith takes at most ${MAX_RECIPIENTS} providers`);
  if (randomness !== undefined) requireBackend(randomness, RANDOM_METHODS, "randomness");
  if (onEvent !== undefined && typeof onEvent !== "function") throw invalidArgument("onEvent must be a function");
  if (gate !== undefined && typeof gate !== "function") throw invalidArgument("gate must be a function");
  if (telemetry !== undefined) requireMethods(telemetry, TELEMETRY_METHODS, "telemetry");
  return { ...given, wrapWith, unwrapWith };
}

function isProvider(options: KeyringOptions | KeyProvider): options is KeyProvider {
  try {
    return "wrap" in options;
  } catch (error) {
    throw unreadable("the options of Keyring", error);
  }
}

function providersOf(given: readonly KeyProvider[] | undefined, what: string): readonly KeyProvider[] {
  if (given === undefined) return [];
  if (!Array.isArray(given)) throw invalidArgument(`${what} must be an array of providers`, `Write ${what}: [provider].`);
  const providers: readonly KeyProvider[] = [...given];
  for (const [at, provider] of providers.entries()) requireBackend(provider, PROVIDER_METHODS, `${what}[${at}]`);
  return providers;
}

function requireBackend(value: { readonly name: string }, methods: readonly string[], what: string): void {
  requireMethods(value, methods, what);
  const { name } = value;
  if (typeof name === "string" && PROVIDER_NAME.test(name)) return;
  throw invalidArgument(`the name of ${what} must have 1 to 32 characters of a-z, 0-9 and -`);
}

function requireMethods(value: unknown, methods: readonly string[], what: string): void {
  const lacking =
    typeof value === "object" && value !== null ? methods.filter((name) => typeof Reflect.get(value, name) !== "function") : methods;
  if (lacking.length === 0) return;
  const hint = value instanceof Promise ? "It is a promise: await it first." : undefined;
  throw invalidArgument(`${what} needs the method${lacking.length > 1 ? "s" : ""} ${lacking.join(", ")}`, hint);
}

const HOW_TO_MAKE = "Write new Keyring({ wrapWith: [provider] }); localKey, azureKey and others make providers.";
const PROVIDER_METHODS: readonly string[] = ["owns", "wrap", "unwrap"];
const RANDOM_METHODS: readonly string[] = ["randomBytes"];
const TELEMETRY_METHODS: readonly string[] = ["span", "record"];

const KEYRING_OPTIONS: OptionNames<KeyringOptions> = {
  ...RESILIENCE_OPTIONS,
  wrapWith: true,
  unwrapWith: true,
  context: true,
  randomness: true,
  reuse: true,
  cache: true,
  gate: true,
  onEvent: true,
  telemetry: true,
};
