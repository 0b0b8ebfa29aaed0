import type { Clock } from "../core/base/clock.ts";
import type { Gate } from "../core/keyring/gate.ts";
import type { Limiter } from "../core/resilience/limiter.ts";
import type { Scope } from "./key-table.ts";
import type { ScopeLedger } from "./scope-ledger.ts";

/** The settings that all scopes of one `DataKeys` share. */
export interface ScopePolicy {
  readonly clock: Clock;
  readonly maxAgeMs: number;
  readonly maxKeyAgeMs: number;
  readonly refreshMs: number;
  readonly maxStaleMs: number;
  readonly announceMs: number;
  readonly maxVersions: number;
  /** Kids that are believed without a proof. */
  readonly vouchedKids: ReadonlySet<string>;
  readonly ledger: ScopeLedger;
  /** The turns of the reads by time. */
  readonly turns: Limiter;
  /** The keyring's. Ciphers ask it at each use of a key. */
  readonly gate: Gate | undefined;
  /** Reports work in the background that has failed and will be tried again. Throws nothing. */
  onFailure(error: unknown, scope: Scope): void;
  /** Makes every holder of keys of this scope wipe them. */
  onShred(scope: Scope): void;
  /** Evicts scopes beyond the limit that are not in use. */
  onTick(): void;
  /** The approximate time by `monotonicMs`, set by loads and ticks. To read the clock at each use of a cipher would cost too much. */
  readonly time: { nowMs: number };
}
