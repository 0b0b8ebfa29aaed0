import type { Clock } from "../../core/base/clock.ts";
import { EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import { type TimeLimit, waitFor } from "../../core/base/wait.ts";
import type { TenantKeyName, TenantKeyRef } from "../../core/contracts/tenant-keys.ts";
import type { Residents } from "../access/residents.ts";
import { noSuchTenant } from "../access/states.ts";
import type { ChangeOptions, TenantChanges } from "../changes.ts";
import type { KeyClaims } from "../keys/claims.ts";
import { identityOf } from "../keys/openers.ts";
import { PLATFORM_KEY, type TenantChange } from "../life-cycle/change.ts";
import { contextOfLife } from "../record/life.ts";
import type { TenantKey, TenantRecord } from "../record/tenant-record.ts";
import type { TenantsPolicy } from "../tenants-options.ts";
import type { Canaries } from "./canaries.ts";
import type { TenantFinding } from "./finding.ts";
import { failedCheck, type KeyVerdict, levelOf, reachHint, verifyKey } from "./verify.ts";

/** The result of `Tenants.verify`. */
export interface VerifyResult {
  /** The worst level of the findings. */
  readonly level: "ok" | "warning" | "failed";
  /** The number of the key that was checked. */
  readonly key: number;
  /** In the order of the checks. */
  readonly findings: readonly TenantFinding[];
  /** When the key ends, in milliseconds since 1970; null if its service says that it does not; undefined if nothing is known. */
  readonly notAfterMs: number | null | undefined;
  /** The record, which keeps level and failed checks. */
  readonly record: TenantRecord;
}

export interface VerifierParts {
  readonly policy: TenantsPolicy;
  readonly residents: Residents;
  readonly claims: KeyClaims;
  readonly canaries: Canaries;
  readonly changes: TenantChanges;
}

/** Runs the onboarding check: within 15 s, and once in ten seconds for each tenant, because a tenant can cause it. */
export class TenantVerifier {
  readonly #parts: VerifierParts;

  constructor(parts: VerifierParts) {
    this.#parts = parts;
  }

  /** @throws `rate-limited`; `key-not-found` for no such tenant; `invalid-argument` if it has no key of its own; what the store throws */
  async verify(id: string, options: ChangeOptions): Promise<VerifyResult> {
    const { policy, residents, changes } = this.#parts;
    const record = await residents.read(id, options.signal && { signal: options.signal });
    if (record === undefined) throw noSuchTenant(id);
    const key = record.staged ?? [...record.keys].reverse().find(({ role }) => role === "wrap");
    if (key === undefined || key.kind === PLATFORM_KEY.kind)
      throw invalidArgument(`tenant ${id} has no key of its own to verify`, "`stage` describes one.");
    this.#requireTurn(id, record);
    const endsAtMs = policy.clock.monotonicMs() + MOST_MS;
    const { findings: found, notAfterMs } = await this.#within(record, key, options.signal);
    const canary = levelOf(found) === "failed" ? [] : await this.#keepCanary(record, key, endsAtMs, options);
    const findings = [...found, ...canary];
    const level = levelOf(findings);
    const atMs = Math.floor(policy.clock.unixMs());
    const failed = findings.filter((finding) => finding.level === "failed").map(({ check }) => check.slice(0, 64));
    const verification = { atMs, generation: record.generation, key: key.number, level, failed: failed.slice(0, 8) };
    const verified = await changes.makeOf(id, (standing) => verifiedChange(standing, record, verification, notAfterMs), options);
    return { level, key: key.number, findings, notAfterMs, record: verified };
  }

  /** The slot counts the checks of this process from their beginning, the record those of all processes from their end. */
  #requireTurn(id: string, record: TenantRecord): void {
    const { residents, policy } = this.#parts;
    const slot = residents.known.note(record, residents.nowS);
    const sinceMs = policy.clock.unixMs() - (record.verification?.atMs ?? 0);
    const elsewhereS = sinceMs < 0 ? VERIFY_EVERY_S : Math.floor(sinceMs / 1000); // a clock that is ahead blocks nothing
    const waitedS = Math.min(residents.nowS - slot.verifiedAtS, elsewhereS);
    if (waitedS < VERIFY_EVERY_S) {
      throw new EnvelockError("rate-limited", `the key of tenant ${id} was verified less than ${VERIFY_EVERY_S} s ago`, {
        retryAfterMs: (VERIFY_EVERY_S - waitedS) * 1000,
        tenant: id,
        whose: "caller",
      });
    }
    slot.verifiedAtS = residents.nowS;
  }

  /** Ends with what was found when the time is over. A provider that hangs is left behind. */
  async #within(record: TenantRecord, key: TenantKey, signal: AbortSignal | undefined): Promise<KeyVerdict> {
    const { policy, claims } = this.#parts;
    const identity = identityOf(record);
    const opener = policy.openers.of(key.kind);
    const late = new AbortController();
    const accept = async (): Promise<TenantKeyName> => {
      const name = policy.openers.acceptOf(key, record);
      await claims.require(key.kind, name.name, { tenant: record.id, epoch: record.epoch, shareable: key.shareable });
      return name;
    };
    const { payerRate, tenantRate } = policy.limits ?? {};
    const ref: TenantKeyRef = { kind: key.kind, key: key.key, settings: key.settings ?? {} };
    const check = verifyKey({
      key: ref,
      identity,
      context: contextOfLife(record),
      accept,
      opener,
      clock: policy.clock,
      addresses: policy.addresses,
      callsPerSecond: tenantRate?.perSecond ?? payerRate?.perSecond,
      signal: signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]),
    });
    try {
      return await waitFor(check, { signal, limit: limitOf(policy.clock, MOST_MS) });
    } catch (error) {
      late.abort(new DOMException("the check did not end in time", "TimeoutError"));
      signal?.throwIfAborted();
      if (!EnvelockError.is(error)) throw error;
      const detail = `no answer within ${MOST_MS / 1000} s`;
      const hint = reachHint(policy.addresses);
      return { findings: [{ check: "time", level: "failed", whose: "service", detail, hint }], notAfterMs: undefined };
    }
  }

  /** Keeps a canary, which is wrapped in the time that is left. @returns why the key could not */
  async #keepCanary(record: TenantRecord, key: TenantKey, endsAtMs: number, { signal }: ChangeOptions): Promise<readonly TenantFinding[]> {
    const { residents, canaries, policy } = this.#parts;
    const { clock, addresses } = policy;
    const call = signal && { signal };
    const wrapping = residents.keyrings.withOneKey(record, key, "write", async (keyring) => {
      const { dataKey, keyRecord } = await keyring.createDataKey(call);
      dataKey.destroy();
      return keyRecord;
    });
    const ms = Math.max(0, endsAtMs - clock.monotonicMs());
    let keyRecord: Uint8Array;
    try {
      keyRecord = await waitFor(wrapping, { signal, limit: limitOf(clock, ms) });
    } catch (error) {
      signal?.throwIfAborted();
      if (!EnvelockError.is(error)) throw error;
      return [failedCheck("canary", error, "service", addresses)];
    }
    await canaries.keep(record, key.number, keyRecord, call);
    return [];
  }
}

function limitOf(clock: Clock, ms: number): TimeLimit {
  return { clock, ms, error: () => new EnvelockError("timeout", "the check did not end in time") };
}

/** A verification counts for the key and the generation that it looked at, and for no other. */
function verifiedChange(
  standing: TenantRecord,
  looked: TenantRecord,
  verification: NonNullable<TenantRecord["verification"]>,
  notAfterMs: number | null | undefined,
): Extract<TenantChange, { readonly change: "verify" }> | undefined {
  const isSame = standing.epoch === looked.epoch && standing.generation === looked.generation;
  const isThere = [...standing.keys, ...(standing.staged === null ? [] : [standing.staged])].some(
    ({ number }) => number === verification.key,
  );
  return isSame && isThere ? { change: "verify", verification, notAfterMs } : undefined;
}

const VERIFY_EVERY_S = 10;
const MOST_MS = 15_000;
