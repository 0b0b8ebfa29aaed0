import type { Clock } from "../core/base/clock.ts";
import type { Gate } from "../core/keyring/gate.ts";
import type { Scope } from "./key-table.ts";
import type { ScopeLedger } from "./scope-ledger.ts";

/** What all scopes of one `DataKeys` share. */
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
  /** The keyring's. Ciphers ask it at each use of a key. */
  readonly gate: Gate | undefined;
  /** What was tried in the background has failed, and will be tried again. Throws nothing. */
  onFailure(error: unknown, scope: Scope): void;
  /** All that holds keys of this scope lets go of them. */
  onShred(scope: Scope): void;
  /** Time has passed: scopes that are too many and not in use may leave. */
  onTick(): void;
  /** About now, by `monotonicMs`: moved by loads and ticks, because reading the clock would cost too much at each use of a cipher. */
  readonly time: { nowMs: number };
}
