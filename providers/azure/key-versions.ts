import { EnvelockError } from "../../src/errors.ts";
import { shared } from "./bounded.ts";
import type { AzureClock } from "./clock.ts";
import type { KeyLocation } from "./key-url.ts";
import { keyIdOf } from "./key-url.ts";
import type { KeyVault, KeyVersion, VersionState } from "./key-vault.ts";

export interface KeyVersionsOptions {
  readonly vault: KeyVault;
  readonly key: KeyLocation;
  readonly clock: AzureClock;
  readonly cacheMs: number;
  readonly minAgeMs: number;
}

/**
 * Which version wraps now. A pinned key URL has one; otherwise it is the newest that is enabled, inside its dates and old enough to
 * have reached every replica, or the oldest usable one while none is that old. What was found is kept for `cacheMs`, at most until a
 * younger version is due.
 */
export class KeyVersions {
  readonly #options: KeyVersionsOptions;
  #kept: { readonly version: KeyVersion; readonly untilMs: number } | undefined;
  #flight: Promise<KeyVersion> | undefined;
  #generation = 0;

  constructor(options: KeyVersionsOptions) {
    this.#options = options;
  }

  /**
   * One flight for all who ask, which goes on when one of them stops waiting.
   *
   * @throws `key-disabled` if no version may wrap now, and what the vault answers
   */
  async current(signal: AbortSignal | undefined): Promise<KeyVersion> {
    const nowMs = this.#options.clock.now();
    const kept = this.#kept;
    if (kept !== undefined && nowMs < kept.untilMs && obstacleTo(kept.version, nowMs) === undefined) return kept.version;
    this.#flight ??= this.#fly();
    return await shared(this.#flight, signal);
  }

  /** Looks anew at the next wrap; a look that is under way serves those who wait for it and is not kept. */
  forget(): void {
    this.#kept = undefined;
    this.#flight = undefined;
    this.#generation++;
  }

  #fly(): Promise<KeyVersion> {
    const generation = this.#generation;
    const look = async (): Promise<KeyVersion> => {
      try {
        const { version, untilMs } = await this.#look();
        if (generation === this.#generation) this.#kept = { version, untilMs };
        return version;
      } finally {
        if (generation === this.#generation) this.#flight = undefined;
      }
    };
    return look();
  }

  async #look(): Promise<{ readonly version: KeyVersion; readonly untilMs: number }> {
    const { vault, key, clock, cacheMs, minAgeMs } = this.#options;
    const newest = await vault.readKey(key, key.version);
    const nowMs = clock.now();
    const untilMs = nowMs + cacheMs;
    const obstacle = obstacleTo(newest, nowMs);
    if (obstacle === undefined && (key.version !== undefined || nowMs - newest.createdMs >= minAgeMs)) return { version: newest, untilMs };
    if (key.version !== undefined) throw unusable(keyIdOf(key, newest.version), obstacle);

    const all = await vault.listVersions(key);
    const usable = all.filter((state) => obstacleTo(state, nowMs) === undefined).sort(byAge);
    const chosen = usable.find(({ createdMs }) => nowMs - createdMs >= minAgeMs) ?? usable.at(-1);
    if (chosen === undefined) throw unusable(keyIdOf(key, newest.version), obstacle);
    const version = chosen.version === newest.version ? newest : await vault.readKey(key, chosen.version);
    const change = obstacleTo(version, nowMs); // it may have been turned off since the listing
    if (change !== undefined) throw unusable(keyIdOf(key, version.version), change);
    return { version, untilMs: Math.min(untilMs, ...dueTimes(all, nowMs, minAgeMs)) };
  }
}

/** Why a version may not wrap now, in the words of `detail`. The service lets a disabled key wrap, so this is asked here. */
function obstacleTo(state: VersionState & { readonly operations?: readonly string[] | undefined }, nowMs: number): string | undefined {
  if (!state.isEnabled) return "disabled";
  if (state.notBeforeMs !== undefined && nowMs < state.notBeforeMs) return "not-yet-valid";
  if (state.expiresMs !== undefined && nowMs >= state.expiresMs) return "expired";
  if (state.operations !== undefined && !state.operations.includes("wrapKey")) return "key-operations";
  return undefined;
}

/** When a version that waits for its age or its date may be taken up. */
function dueTimes(states: readonly VersionState[], nowMs: number, minAgeMs: number): readonly number[] {
  return states
    .filter(({ isEnabled }) => isEnabled)
    .map(({ createdMs, notBeforeMs = 0 }) => Math.max(createdMs + minAgeMs, notBeforeMs))
    .filter((dueMs) => dueMs > nowMs);
}

/** The newest first. Times are whole seconds, and a list that ties keeps its order. */
function byAge(a: VersionState, b: VersionState): number {
  return b.createdMs - a.createdMs;
}

function unusable(keyId: string, obstacle = "disabled"): EnvelockError {
  return new EnvelockError("key-disabled", `no version of this key may wrap now; ${keyId} is ${WORDS[obstacle] ?? obstacle}`, {
    detail: obstacle,
    hint: "enable a version, or rotate the key; what it wrapped can still be unwrapped unless it is disabled",
    cause: new Error(obstacle),
  });
}

const WORDS: Readonly<Record<string, string>> = {
  disabled: "disabled",
  "not-yet-valid": "not valid yet",
  expired: "expired",
  "key-operations": "not for wrapKey",
};
