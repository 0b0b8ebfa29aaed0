import type { ErrorCode } from "../../src/core/base/errors.ts";
import type { KeyProvider } from "../../src/core/contracts/key-provider.ts";

/**
 * The facts that the cases need about a provider, and the controls of its backend. `open`, `openOther` and `bindsContext` are enough for a
 * provider that works in this process. A backend adds the rest. A member that is left out leaves out the cases that need it.
 */
export interface ConformanceHarness {
  /** Opens a new provider on the KEK under test. The case that asked for it closes it. */
  open(): Settled<KeyProvider>;

  /** Opens the same kind of provider on another KEK of the same backend, best with a neighbouring key id. */
  openOther(): Settled<KeyProvider>;

  /**
   * Opens a new provider on a KEK that may wrap and not unwrap, if the backend has such. Its `wrap` must fail, because its result would be
   * lost.
   */
  openOneWay?(): Settled<KeyProvider>;

  /** Whether the wrapping authenticates the key context: true for the algorithms 1, 2, 4, 5 and 9 of docs/format.md §3. */
  readonly bindsContext: boolean;

  /** Algorithms that `unwrap` accepts beside the one that `wrap` uses, such as 8 for old data. */
  readonly alsoUnwraps?: readonly number[];

  /** Key ids that look like this backend's and do not belong to this KEK, beside those that the cases make. */
  readonly hostileKeyIds?: readonly string[];

  /** Secrets that must never be shown, beside the data keys: KEK bytes, PINs and tokens as UTF-8. At least 8 bytes each. */
  readonly secrets?: readonly Uint8Array[];

  /** How thorough the flips are: `each-byte` flips one bit a byte, for wrappings of a thousand bytes and slow unwraps. Default `each-bit`. */
  readonly flips?: "each-bit" | "each-byte";

  /** Makes a new version of the KEK the current one. Providers that are opened later must see it. */
  rotate?(): Settled<void>;

  /** Lets the version that `keyId` names expire. Called for a version that is not the current one; needs `rotate`. */
  expire?(keyId: string): Settled<void>;

  /** Returns the number of calls that the backend has had so far, failed ones included. */
  calls?(): number;

  /** The most calls for one operation of a provider that has done it before. Default: one call each. Needs `calls`. */
  readonly maxCalls?: CallLimits;

  /** Makes the next backend call fail, once. The key is the code that must arrive at the caller. */
  readonly failures?: Readonly<Partial<Record<ErrorCode, BackendFailure>>>;

  /** Holds back the answer to the next backend call. */
  hold?(): Settled<HeldCall>;

  /** Answers that a service must not give, by what is wrong with each, such as "names another key". A provider must refuse them. */
  readonly wrongAnswers?: Readonly<Record<string, WrongAnswer>>;

  /** Lets the backend ignore the context from now on, until the returned function is called. Needs `bindsContext`. */
  ignoreContext?(): Settled<() => void>;

  /** Ends the credentials that the providers have now, without their noticing. Their source gives others. */
  endCredentials?(): Settled<void>;

  /** Returns other spellings of a key id that a service takes for the same key. A provider has one spelling and owns no other. */
  otherSpellings?(keyId: string): readonly string[];

  /** Tries to open a provider by a name that can be moved to another key, such as an alias. It must be refused. */
  openByMovableName?(): Settled<KeyProvider>;

  /** Calls `run` while the environment has no variable, or while reading one throws, which proves more. */
  withEmptyEnvironment?(run: () => Promise<void>): Promise<void>;
}

/** A way to make a backend fail. The short form is for a backend that raises an error of its own, which must arrive as the cause. */
export type BackendFailure = (() => Settled<void>) | SilentFailure;

/** A failure that the provider finds in a successful answer, such as an empty list: there is no native error to pass on. */
export interface SilentFailure {
  readonly hasCause: false;
  fail(): Settled<void>;
}

/** One answer of a service that is wrong although its status says success. */
export interface WrongAnswer {
  /** The operation of the provider that gets it. */
  readonly to: "wrap" | "unwrap";
  /** The code that must arrive at the caller. Default `provider-failure`. */
  readonly code?: ErrorCode;
  /** Makes the next answer to that operation wrong, once. */
  arrange(): Settled<void>;
}

/** The most calls for each operation. 0 for a wrap says that it needs no backend: then its failures are not tested. */
export interface CallLimits {
  readonly wrap: number;
  readonly unwrap: number;
  readonly current: number;
}

export interface HeldCall {
  /** Settles once the call has arrived at the backend. */
  readonly arrived: Promise<void>;
  /** Lets the backend answer normally. */
  release(): void;
}

export type Settled<T> = T | Promise<T>;
