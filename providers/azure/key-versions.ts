import type { Clock } from "../../src/core/base/clock.ts";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { SingleFlights } from "../../src/core/base/single-flight.ts";
import { type Asked, brokenAnswer } from "./failures.ts";
import { isVersion } from "./key-url.ts";

/** A version as a listing describes it. */
export interface VersionState {
  readonly version: string;
  readonly isEnabled: boolean;
  /** Unix times in milliseconds. */
  readonly notBeforeMs: number | undefined;
  readonly expiresMs: number | undefined;
  readonly createdMs: number;
  /** The operations that a key may be used for, if the service says so. */
  readonly operations?: readonly string[] | undefined;
}

/** The versions of one key or secret, as its vault shows them. */
export interface VersionSource<V extends VersionState> {
  /** The version that the URL names. */
  readonly pinned: string | undefined;
  idOf(version: string): string;
  /** Reads a version. @param version by default the newest, whatever its state */
  read(version?: string): Promise<V>;
  list(): Promise<readonly VersionState[]>;
}

export interface KeyVersionsOptions<V extends VersionState> {
  readonly source: VersionSource<V>;
  readonly clock: Clock;
  readonly cacheMs: number;
  readonly minAgeMs: number;
}

/**
 * Finds the version that wraps now. If the URL names a version it is that one. Otherwise it is the newest version that is enabled, inside
 * its dates and old enough to have reached every replica, or the oldest usable one while none is that old. The result is kept for
 * `cacheMs`, at most until a younger version is due.
 */
export class KeyVersions<V extends VersionState> {
  readonly #options: KeyVersionsOptions<V>;
  #kept: { readonly version: V; readonly untilMs: number } | undefined;
  readonly #flights: SingleFlights<undefined, V> = new SingleFlights();
  #generation = 0;

  constructor(options: KeyVersionsOptions<V>) {
    this.#options = options;
  }

  /**
   * Returns the version that wraps. All callers share one flight, which goes on when one of them stops waiting.
   *
   * @throws `key-disabled` if no version may wrap now, and what the vault answers
   */
  async current(signal: AbortSignal | undefined): Promise<V> {
    const nowMs = this.#options.clock.unixMs();
    const kept = this.#kept;
    if (kept !== undefined && nowMs < kept.untilMs && obstacleTo(kept.version, nowMs) === undefined) return kept.version;
    return await this.#flights.run(undefined, () => this.#fly(), { signal });
  }

  /** Makes the next wrap look again. A look in flight still serves its callers, and its result is not kept. */
  forget(): void {
    this.#kept = undefined;
    this.#flights.detach(undefined);
    this.#generation++;
  }

  async #fly(): Promise<V> {
    const generation = this.#generation;
    const { version, untilMs } = await this.#look();
    if (generation === this.#generation) this.#kept = { version, untilMs };
    return version;
  }

  async #look(): Promise<{ readonly version: V; readonly untilMs: number }> {
    const { source, clock, cacheMs, minAgeMs } = this.#options;
    const { pinned } = source;
    const newest = await source.read(pinned);
    const nowMs = clock.unixMs();
    const untilMs = nowMs + cacheMs;
    const obstacle = obstacleTo(newest, nowMs);
    if (obstacle === undefined && (pinned !== undefined || ageMs(newest, nowMs) >= minAgeMs)) return { version: newest, untilMs };
    if (pinned !== undefined) throw unusable(source.idOf(newest.version), obstacle);

    const all = await source.list();
    const usable = all.filter((state) => obstacleTo(state, nowMs) === undefined).sort(byAge);
    const chosen = usable.find((state) => ageMs(state, nowMs) >= minAgeMs) ?? usable.at(-1);
    if (chosen === undefined) throw unusable(source.idOf(newest.version), obstacle);
    const version = chosen.version === newest.version ? newest : await source.read(chosen.version);
    const change = obstacleTo(version, nowMs); // the version may have been disabled since the listing
    if (change !== undefined) throw unusable(source.idOf(version.version), change);
    return { version, untilMs: Math.min(untilMs, ...dueTimes(all, nowMs, minAgeMs)) };
  }
}

/** Reads the SDK's description of a version of a key or a secret. @throws `provider-failure` */
export function versionStateOf({ version, enabled, notBefore, expiresOn, createdOn }: VersionProperties, asked: Asked): VersionState {
  const name = version?.toLowerCase() ?? "";
  if (!isVersion(name)) throw brokenAnswer(asked, "names no version");
  return {
    version: name,
    isEnabled: enabled !== false,
    notBeforeMs: notBefore?.getTime(),
    expiresMs: expiresOn?.getTime(),
    createdMs: createdOn?.getTime() ?? 0,
  };
}

interface VersionProperties {
  readonly version?: string | undefined;
  readonly enabled?: boolean | undefined;
  readonly notBefore?: Date | undefined;
  readonly expiresOn?: Date | undefined;
  readonly createdOn?: Date | undefined;
}

/** Returns the reason why a version may not wrap now, as a `detail`. The service lets a disabled key wrap, so it is checked here. */
function obstacleTo(state: VersionState, nowMs: number): string | undefined {
  if (!state.isEnabled) return "disabled";
  if (state.notBeforeMs !== undefined && nowMs < state.notBeforeMs) return "not-yet-valid";
  if (state.expiresMs !== undefined && nowMs >= state.expiresMs) return "expired";
  if (state.operations !== undefined && !state.operations.includes("wrapKey")) return "key-operations";
  return undefined;
}

/** Computes the age of a version by this machine's clock. If that is behind the service's clock, a new version has age 0. */
function ageMs({ createdMs }: VersionState, nowMs: number): number {
  return Math.max(0, nowMs - createdMs);
}

/** Computes when a version that waits for its age or its date may wrap. */
function dueTimes(states: readonly VersionState[], nowMs: number, minAgeMs: number): readonly number[] {
  return states
    .filter(({ isEnabled }) => isEnabled)
    .map(({ createdMs, notBeforeMs = 0 }) => Math.max(createdMs + minAgeMs, notBeforeMs))
    .filter((dueMs) => dueMs > nowMs);
}

/** Sorts the newest first. Times are whole seconds, and versions with equal times keep their order. */
function byAge(a: VersionState, b: VersionState): number {
  return b.createdMs - a.createdMs;
}

function unusable(keyId: string, obstacle = "disabled"): EnvelockError {
  return new EnvelockError("key-disabled", `no version of this key may wrap now; ${keyId} is ${WORDS[obstacle] ?? obstacle}`, {
    detail: obstacle,
    hint: "enable a version, or rotate the key; what it wrapped can still be unwrapped unless it is disabled",
  });
}

const WORDS: Readonly<Record<string, string>> = {
  disabled: "disabled",
  "not-yet-valid": "not valid yet",
  expired: "expired",
  "key-operations": "not for wrapKey",
};
