import type { Clock } from "../base/clock.ts";
import { EnvelockError, invalidArgument, isDeliberateRefusal } from "../base/errors.ts";
import { type OptionNames, refuseUnknown } from "../base/options.ts";
import { waitFor } from "../base/wait.ts";
import type { KeyRecord } from "../format/key-record.ts";
import { countOrInfinity, positive } from "../resilience/checks.ts";
import type { Operation } from "../resilience/operation.ts";
import type { SharedDataKey } from "./shared-data-key.ts";

/** The bounds of one data key for many encryptions. Each holds by itself. */
export interface ReuseOptions {
  /** The age at which a key stops to encrypt. Default 300,000. */
  readonly maxAgeMs?: number;
  /** The most encryptions. Default 1,048,576. */
  readonly maxUses?: number;
  /** The most bytes of plaintext. One encryption may exceed it if it has the key to itself. Default 64 GiB. */
  readonly maxBytes?: number;
  /** How long before `maxAgeMs` the next key is fetched in the background, so that no caller waits. Defaults to a tenth of it. */
  readonly refreshAheadMs?: number;
}

/** A data key and the recipients that unwrap it again. */
export interface WrappedDataKey {
  readonly key: SharedDataKey;
  readonly record: KeyRecord;
}

export interface Supply {
  readonly clock: Clock;
  /** Makes a data key and wraps it, with bounds of its own: it may outlive the caller that it began for. */
  fetch(): Promise<WrappedDataKey>;
  /** Called when a background fetch has ended. */
  onRefresh(error: unknown, ageMs: number): void;
}

/** The data key that one keyring encrypts with. Recipients and key context are the keyring's, so there is one key at a time. */
export class ReusedDataKey {
  readonly #bounds: Required<ReuseOptions>;
  readonly #supply: Supply;
  #current: InUse | undefined;
  #fetching: Promise<void> | undefined;
  #refreshAt = Number.NEGATIVE_INFINITY;
  #generation = 0;
  #isClosed = false;
  #cancelExpiry: (() => void) | undefined;

  /** @throws `invalid-argument` */
  constructor(options: ReuseOptions, supply: Supply) {
    this.#bounds = checkedBounds(options);
    this.#supply = supply;
  }

  get isHolding(): boolean {
    return this.#current !== undefined;
  }

  /** The time since the key that is kept was made. Undefined if none is kept. */
  get heldMs(): number | undefined {
    return this.#current && this.#supply.clock.monotonicMs() - this.#current.bornAt;
  }

  /** The time since the key was made. */
  ageMs(wrapped: WrappedDataKey): number {
    const current = this.#current;
    return current?.wrapped === wrapped ? this.#supply.clock.monotonicMs() - current.bornAt : 0;
  }

  /**
   * Returns the key for one more encryption of `bytes`. All waiting callers share one fetch.
   *
   * @returns a key that is held for the caller, which releases it
   * @throws the abort's reason, and what the providers' `wrap` throws once no key is left within its bounds
   */
  async take(bytes: number, caller: Operation): Promise<WrappedDataKey> {
    for (;;) {
      caller.throwIfAborted();
      if (this.#isClosed) return await this.#supply.fetch(); // a call in flight finishes, with a key of its own
      const current = this.#current;
      const now = this.#supply.clock.monotonicMs();
      if (current !== undefined && this.#serves(current, bytes, now)) {
        current.uses++;
        current.bytes += bytes;
        current.wrapped.key.hold();
        this.#refreshIfDue(current, now);
        return current.wrapped;
      }
      await waitFor(this.#fetch(), caller.bounds(caller.remainingMs, tooLate));
    }
  }

  /** Drops the key, and keeps no other. */
  close(): void {
    this.#isClosed = true;
    this.forget(() => true);
  }

  /** Drops the key if one of its versions matches, and keeps the result of a fetch in flight from being used. */
  forget(isMeant: (wrapped: WrappedDataKey) => boolean): number {
    this.#generation++;
    this.#fetching = undefined;
    if (this.#current === undefined || !isMeant(this.#current.wrapped)) return 0;
    this.#replace(undefined);
    return 1;
  }

  #replace(next: InUse | undefined): void {
    this.#current?.wrapped.key.release();
    this.#current = next;
    this.#cancelExpiry?.();
    this.#cancelExpiry = next && this.#supply.clock.after(this.#bounds.maxAgeMs, () => this.#expire(), "idle");
  }

  /** Wipes the key at its age, even if no call asks for it again. */
  #expire(): void {
    const { clock } = this.#supply;
    if (this.#current !== undefined && clock.monotonicMs() - this.#current.bornAt >= this.#bounds.maxAgeMs) this.#replace(undefined);
  }

  #serves({ bornAt, uses, bytes }: InUse, more: number, now: number): boolean {
    const { maxAgeMs, maxUses, maxBytes } = this.#bounds;
    return now - bornAt < maxAgeMs && (uses === 0 || (uses < maxUses && bytes + more <= maxBytes));
  }

  #refreshIfDue({ bornAt }: InUse, now: number): void {
    const { maxAgeMs, refreshAheadMs } = this.#bounds;
    if (now - bornAt < maxAgeMs - refreshAheadMs || now < this.#refreshAt || this.#fetching !== undefined) return;
    this.#refreshAt = now + refreshAheadMs / 4; // for the case that it fails: the providers' own retries have come before that
    const generation = this.#generation;
    this.#fetch().then(
      () => this.#supply.onRefresh(undefined, now - bornAt),
      (error: unknown) => {
        // A key that may not be used any more differs from one that cannot be reached.
        if (isDeliberateRefusal(error) && generation === this.#generation) this.forget(() => true);
        this.#supply.onRefresh(error, now - bornAt);
      },
    );
  }

  #fetch(): Promise<void> {
    const fetching = this.#fetching ?? this.#fetched(this.#generation);
    this.#fetching = fetching;
    return fetching;
  }

  async #fetched(generation: number): Promise<void> {
    try {
      const wrapped = await this.#supply.fetch();
      if (generation !== this.#generation) return wrapped.key.release();
      this.#replace({ wrapped, bornAt: this.#supply.clock.monotonicMs(), uses: 0, bytes: 0 });
    } finally {
      if (generation === this.#generation) this.#fetching = undefined;
    }
  }
}

function tooLate(): EnvelockError {
  return new EnvelockError("timeout", "no data key could be had within the deadline");
}

interface InUse {
  readonly wrapped: WrappedDataKey;
  readonly bornAt: number;
  uses: number;
  bytes: number;
}

function checkedBounds(options: ReuseOptions): Required<ReuseOptions> {
  refuseUnknown(options, REUSE_OPTIONS, "reuse");
  const { maxAgeMs = 300_000, maxUses = 2 ** 20, maxBytes = 2 ** 36 } = options;
  const { refreshAheadMs = Number.isFinite(maxAgeMs) ? maxAgeMs / 10 : 0 } = options;
  positive(maxAgeMs, "reuse.maxAgeMs");
  if (!(refreshAheadMs >= 0 && refreshAheadMs < maxAgeMs))
    throw invalidArgument("reuse.refreshAheadMs must be at least 0 and below reuse.maxAgeMs");
  return { maxAgeMs, maxUses: countOrInfinity(maxUses, "reuse.maxUses"), maxBytes: positive(maxBytes, "reuse.maxBytes"), refreshAheadMs };
}

/** The names of {@link ReuseOptions}. */
export const REUSE_OPTIONS: OptionNames<ReuseOptions> = { maxAgeMs: true, maxUses: true, maxBytes: true, refreshAheadMs: true };
