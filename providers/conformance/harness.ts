import type { ErrorCode } from "../../src/core/base/errors.ts";
import type { KeyProvider } from "../../src/core/contracts/key-provider.ts";

/**
 * What the cases need to know of a provider and to do to its backend. `open`, `openOther` and `bindsContext` are enough for a
 * provider that works in this process; a backend adds the rest, and each member that is left out leaves out the cases that need it.
 */
export interface ConformanceHarness {
  /** A new provider on the one KEK that the harness is about. The case that asked for it closes it. */
  open(): Settled<KeyProvider>;

  /** The same kind of provider on another KEK, best with a neighbouring key id: same backend, another key. */
  openOther(): Settled<KeyProvider>;

  /** A new provider on a KEK that may wrap and not unwrap, where the backend has such. Its `wrap` must fail: what it gives would be lost. */
  openOneWay?(): Settled<KeyProvider>;

  /** Whether the wrapping authenticates the key context: true for the algorithms 1, 2, 4, 5 and 9 of docs/format.md §3. */
  readonly bindsContext: boolean;

  /** Algorithms that `unwrap` accepts beside the one that `wrap` uses, such as 8 for old data. */
  readonly alsoUnwraps?: readonly number[];

  /** Key ids that look like this backend's and are not of this KEK, beside those that the cases make up. */
  readonly hostileKeyIds?: readonly string[];

  /** What must never be shown, beside the data keys: KEK bytes, PINs and tokens as UTF-8. At least 8 bytes each. */
  readonly secrets?: readonly Uint8Array[];

  /** How thorough the flips are: `each-byte` flips one bit a byte, for wrappings of a thousand bytes and slow unwraps. Default `each-bit`. */
  readonly flips?: "each-bit" | "each-byte";

  /** Makes a new version of the KEK the current one. Providers that are opened later must see it. */
  rotate?(): Settled<void>;

  /** Lets the version that `keyId` names expire. Called for a version that is not the current one; needs `rotate`. */
  expire?(keyId: string): Settled<void>;

  /** How many calls the backend has had so far, failed ones included. */
  calls?(): number;

  /** What one operation of a provider that has done it before may cost. Default: one call each. Needs `calls`. */
  readonly maxCalls?: CallLimits;

  /** How to make the next backend call fail, once, by the code that must arrive at the caller. */
  readonly failures?: Readonly<Partial<Record<ErrorCode, BackendFailure>>>;

  /** Keeps the answer to the next backend call back. */
  hold?(): Settled<HeldCall>;

  /** Calls `run` while the environment has no variable, or while reading one throws, which proves more. */
  withEmptyEnvironment?(run: () => Promise<void>): Promise<void>;
}

/** A way to make a backend fail. The short form is for a backend that raises an error of its own, which must arrive as the cause. */
export type BackendFailure = (() => Settled<void>) | SilentFailure;

/** A failure that the provider finds in an answer that is no error, such as an empty list: there is no native error to pass on. */
export interface SilentFailure {
  readonly hasCause: false;
  fail(): Settled<void>;
}

/** Calls that an operation may make at most. 0 for a wrap says that it needs no backend: its failures are then not asked for. */
export interface CallLimits {
  readonly wrap: number;
  readonly unwrap: number;
  readonly current: number;
}

export interface HeldCall {
  /** Settles once the call has arrived at the backend. */
  readonly arrived: Promise<void>;
  /** Lets the backend answer, as if nothing had been. */
  release(): void;
}

export type Settled<T> = T | Promise<T>;
