import { CALL_OPTIONS, type CallOptions } from "../core/base/call-options.ts";
import { type Clock, systemClock } from "../core/base/clock.ts";
import type { Context } from "../core/base/context.ts";
import { invalidArgument } from "../core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import type { DataKeyStore } from "../core/contracts/data-key-store.ts";
import { type Keyring, requireKeyring } from "../core/keyring/keyring.ts";
import { count, positive } from "../core/resilience/checks.ts";
import { KID } from "./key-table.ts";
import type { ScopePolicy } from "./scope-policy.ts";

export interface DataKeysOptions {
  /** The keyring that wraps and unwraps the data keys. Its context is part of every scope. */
  readonly keyring: Keyring;
  /** The store of the wrapped data keys. Its maker closes it. */
  readonly store: DataKeyStore;
  /** The age at which a data key is replaced for new writes, at the next refresh. Default: never. */
  readonly maxAgeMs?: number;
  /**
   * The time that a data key serves after its unwrap, before it is unwrapped again. A revocation of the KEK takes effect within it. If the
   * key service refuses, the data key is wiped at once; if it does not answer, `maxStaleMs` later. Default 3,600,000, an hour.
   */
  readonly maxKeyAgeMs?: number;
  /**
   * The interval at which each scope in use is read again. A rotation or a shred by another process takes effect within it. Default 60,000.
   */
  readonly refreshMs?: number;
  /** The time for which a scope is used while the store cannot be read. Default five times `refreshMs`. */
  readonly maxStaleMs?: number;
  /**
   * The age that a new version must reach before it encrypts, so that by then every process can decrypt its tokens. Default twice
   * `refreshMs`. All processes should use the same.
   */
  readonly announceMs?: number;
  /**
   * The number of scopes that are held at once. The least recently used is evicted. Scopes that were handed out or used within the last ten
   * seconds stay, even beyond this number. Default 1,000.
   */
  readonly maxScopes?: number;
  /** The number of versions of a scope that are held, newest first. `decryptAsync` fetches older ones. Default 16. */
  readonly maxVersions?: number;
  /**
   * Kids of data keys that are accepted without a proof that their maker knew the version before: because that version was lost, or the row
   * is older than proofs. Default none.
   */
  readonly vouchedKids?: readonly string[];
  /**
   * Called with failures in the background: a refresh, a rotation by age, an unwrap, a row that is not trusted. The work is tried again at
   * the next refresh. What the listener throws is ignored.
   */
  readonly onFailure?: (error: unknown, scope: Context) => unknown;
  /** The time source, for tests. */
  readonly clock?: Clock;
}

export interface RotateOptions extends CallOptions {
  /** Whether this process encrypts with the new version at once. Processes that have not read the store yet cannot decrypt its tokens. */
  readonly immediately?: boolean;
}

/** The bounds of every scope, as the caller has set them or by default. */
export type ScopeBounds = Pick<
  ScopePolicy,
  "clock" | "maxAgeMs" | "maxKeyAgeMs" | "refreshMs" | "maxStaleMs" | "announceMs" | "maxVersions" | "vouchedKids"
>;

/**
 * Reads the options that `DataKeys` is made with.
 *
 * @throws `invalid-argument` for an unknown option, a part that is missing or cannot be one, and a bound out of range
 */
export function parseDataKeysOptions(options: DataKeysOptions): { readonly maxScopes: number; readonly bounds: ScopeBounds } {
  refuseUnknown(options, DATA_KEYS_OPTIONS, "DataKeys");
  requireParts(options);
  const { refreshMs = 60_000, maxAgeMs = Number.POSITIVE_INFINITY, maxStaleMs = 5 * refreshMs, announceMs = 2 * refreshMs } = options;
  const { maxKeyAgeMs = 3_600_000, maxScopes = 1000, maxVersions = 16, vouchedKids = [], clock = systemClock } = options;
  return {
    maxScopes: count(maxScopes, "maxScopes"),
    bounds: {
      clock,
      maxAgeMs: positive(maxAgeMs, "maxAgeMs"),
      maxKeyAgeMs: positive(maxKeyAgeMs, "maxKeyAgeMs"),
      refreshMs: positive(refreshMs, "refreshMs"),
      maxStaleMs: positive(maxStaleMs, "maxStaleMs"),
      announceMs: atLeastZero(announceMs, "announceMs"),
      maxVersions: count(maxVersions, "maxVersions"),
      vouchedKids: new Set(vouchedKids),
    },
  };
}

/** @throws `invalid-argument` for what would fail later, and say less */
function requireParts({ keyring, store, vouchedKids = [], onFailure }: DataKeysOptions): void {
  requireKeyring(keyring, "keyring");
  const missing = typeof store === "object" && store !== null ? STORE_METHODS.find((name) => typeof store[name] !== "function") : "list";
  if (missing !== undefined)
    throw invalidArgument(
      `store is no DataKeyStore: it has no method ${missing}`,
      "postgresStore({ client }), sqliteStore and others of envelock/stores make one; memoryStore() is for tests.",
    );
  if (!Array.isArray(vouchedKids) || !vouchedKids.every((kid) => typeof kid === "string" && KID.test(kid)))
    throw invalidArgument("vouchedKids is a list of kids, 32 lower-case hex digits each");
  if (onFailure !== undefined && typeof onFailure !== "function") throw invalidArgument("onFailure is a function");
}

function atLeastZero(value: number, name: string): number {
  if (typeof value === "number" && value >= 0) return value;
  throw invalidArgument(`${name} is ${value}, expected a number of at least 0`);
}

export const ROTATE_OPTIONS: OptionNames<RotateOptions> = { ...CALL_OPTIONS, immediately: true };
const DATA_KEYS_OPTIONS: OptionNames<DataKeysOptions> = {
  keyring: true,
  store: true,
  maxAgeMs: true,
  maxKeyAgeMs: true,
  refreshMs: true,
  maxStaleMs: true,
  announceMs: true,
  maxScopes: true,
  maxVersions: true,
  vouchedKids: true,
  onFailure: true,
  clock: true,
};
const STORE_METHODS = ["byKid", "list", "insertIfAbsent", "compareAndSwap", "scan"] as const;
