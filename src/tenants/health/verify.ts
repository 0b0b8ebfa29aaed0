import type { Clock } from "../../core/base/clock.ts";
import { KeyContext } from "../../core/base/context.ts";
import { EnvelockError, REFUSALS, type Whose } from "../../core/base/errors.ts";
import { WRAP_ALGORITHMS, wrapAlgorithmName } from "../../core/contracts/algorithms.ts";
import type { Finding } from "../../core/contracts/finding.ts";
import type { KeyProvider, Recipient, WrapOptions } from "../../core/contracts/key-provider.ts";
import type { TenantKeyIdentity, TenantKeyName, TenantKeyOpener, TenantKeyRef } from "../../core/contracts/tenant-keys.ts";
import { encodeWrapAad } from "../../core/format/key-record.ts";
import { discardSecret } from "../../core/resilience/provider-contract.ts";
import { endOf, expiryFinding } from "./expiry.ts";
import type { TenantFinding } from "./finding.ts";
import { quotaFinding } from "./service-quotas.ts";

export interface KeyToVerify {
  readonly key: TenantKeyRef;
  readonly identity: TenantKeyIdentity;
  readonly context: Readonly<Record<string, string>>;
  /** Checks form, allow lists, reserved and foreign keys. @throws why the key may not be this tenant's */
  accept(): Promise<TenantKeyName>;
  /** The rate of calls that the vendor allows itself on this key. Undefined without a bound. */
  readonly callsPerSecond: number | undefined;
  readonly opener: TenantKeyOpener;
  readonly clock: Clock;
  /** The addresses that the vendor calls from. */
  readonly addresses: readonly string[];
  readonly signal: AbortSignal;
}

/**
 * Checks a key with the tenant's own identity: whether it may be this tenant's, what the key service's doctor finds, and whether 32 random
 * bytes make the round trip under the tenant's context and under no other. Changes nothing in the key service.
 */
export async function verifyKey(given: KeyToVerify): Promise<KeyVerdict> {
  let name: TenantKeyName | undefined;
  const allowed = "The description is allowed, not reserved, and of no other tenant.";
  const accepted = await checked("description", "tenant", allowed, async () => {
    name = await given.accept();
  });
  if (name === undefined) return verdict([accepted, ...skipped("open", "doctor", ...KEY_CHECKS, "quota")]);
  let provider: KeyProvider | undefined;
  const opened = await checked("open", "vendor", "The provider was made.", async () => {
    provider = given.opener.open(given.key, given.identity);
  });
  if (provider === undefined) return verdict([accepted, opened, ...skipped("doctor", ...KEY_CHECKS, "quota")]);
  try {
    const doctors = await diagnosis(given);
    const notAfterMs = endOf(doctors.found);
    const expiry = expiryFinding(notAfterMs, given.clock.unixMs());
    const quota = quotaFinding(given.key.kind, name, given.callsPerSecond);
    return verdict([accepted, ...doctors.findings, expiry, ...(await roundTrip(provider, given)), quota], notAfterMs);
  } finally {
    await provider.close?.().catch(() => undefined);
  }
}

/** What a check of a key has found. */
export interface KeyVerdict {
  readonly findings: readonly TenantFinding[];
  /** When the key ends; null if its service says that it does not; undefined if nothing is known. */
  readonly notAfterMs: number | null | undefined;
}

function verdict(findings: readonly TenantFinding[], notAfterMs?: number | null): KeyVerdict {
  return { findings, notAfterMs };
}

/** Draws one level from findings: the worst. */
export function levelOf(findings: readonly TenantFinding[]): "ok" | "warning" | "failed" {
  const levels = findings.map(({ level }) => level);
  return levels.includes("failed") ? "failed" : levels.includes("warning") ? "warning" : "ok";
}

interface Diagnosis {
  readonly found: readonly Finding[];
  readonly findings: readonly TenantFinding[];
}

async function diagnosis({ opener, key, identity, signal, addresses }: KeyToVerify): Promise<Diagnosis> {
  if (opener.diagnose === undefined) return { found: [], findings: [] };
  try {
    const found = await opener.diagnose(key, identity, { signal });
    return { found, findings: found.map(translated) };
  } catch (error) {
    return { found: [], findings: [failedCheck("doctor", error, "service", addresses)] };
  }
}

function translated(finding: Finding): TenantFinding {
  const { check, status, message, advice } = finding;
  return { check, level: status, whose: whoseIs(finding), detail: message, ...(advice !== undefined && { hint: advice }) };
}

/** A key and its rights are the tenant's, its way there is the service's, and a credential that no refusal stands behind is the vendor's. */
function whoseIs({ check, status, code }: Finding): Whose {
  if (status === "ok" || status === "skipped" || REACH.has(check)) return "service";
  if (code !== undefined && REFUSALS.has(code)) return "tenant";
  if (code !== undefined && SERVICES.has(code)) return "service";
  return IDENTITY.has(check) ? "vendor" : "tenant";
}

async function roundTrip(provider: KeyProvider, { context, clock, signal, addresses }: KeyToVerify): Promise<readonly TenantFinding[]> {
  const { tenant = "" } = context;
  const [own, other] = [new KeyContext(context), new KeyContext({ ...context, tenant: `${tenant}-` })];
  const secret = crypto.getRandomValues(new Uint8Array(32));
  try {
    const begunAt = clock.monotonicMs();
    const recipient = await provider.wrap(secret.slice(), optionsFor(provider, own, signal));
    const wrappedAt = clock.monotonicMs();
    const back = await provider.unwrap(recipient, optionsFor(provider, own, signal));
    const unwrappedAt = clock.monotonicMs();
    const isSame = back.length === secret.length && back.every((byte, at) => byte === secret[at]);
    discardSecret(back);
    if (!isSame) return [{ check: "round-trip", level: "failed", whose: "service", detail: "unwrap gave other bytes than were wrapped" }];
    const trip: TenantFinding = {
      check: "round-trip",
      level: "ok",
      whose: "service",
      detail: `${wrapAlgorithmName(recipient.alg) ?? `algorithm ${recipient.alg}`} with ${recipient.keyId} opens what it wrapped`,
    };
    return [trip, await wrongContext(provider, recipient, other, signal), latency(wrappedAt - begunAt, unwrappedAt - wrappedAt)];
  } catch (error) {
    return [failedCheck("round-trip", error, "service", addresses), ...skipped("context", "latency")];
  }
}

/** Asks for the same bytes under another tenant's context, which must be refused. */
async function wrongContext(provider: KeyProvider, recipient: Recipient, other: KeyContext, signal: AbortSignal): Promise<TenantFinding> {
  try {
    discardSecret(await provider.unwrap(recipient, optionsFor(provider, other, signal)));
  } catch (error) {
    const isRefused = EnvelockError.is(error) && (error.code === "unwrap-rejected" || error.code === "authentication-failed");
    if (isRefused) return { check: "context", level: "ok", whose: "service", detail: "the key refuses another tenant's context" };
    return failedCheck("context", error, "service");
  }
  if (!BINDS_CONTEXT.has(recipient.alg)) {
    return {
      check: "context",
      level: "ok",
      whose: "service",
      detail: "this algorithm binds no context: the commitment of each data key does",
    };
  }
  return {
    check: "context",
    level: "failed",
    whose: "tenant",
    detail: "the key service ignores the context: it opened the bytes under another tenant's",
    hint: "Use a key that binds its context, such as a derived transit key, or an AEAD key.",
  };
}

function optionsFor(provider: KeyProvider, context: KeyContext, signal: AbortSignal): WrapOptions {
  return { keyContext: context.map, wrapAad: (keyId) => encodeWrapAad(provider.name, keyId, context.bytes), signal };
}

function latency(wrapMs: number, unwrapMs: number): TenantFinding {
  const detail = `wrap took ${Math.round(wrapMs)} ms, unwrap ${Math.round(unwrapMs)} ms`;
  if (Math.max(wrapMs, unwrapMs) <= SLOW_MS) return { check: "latency", level: "ok", whose: "service", detail };
  return { check: "latency", level: "warning", whose: "tenant", detail, hint: "Use a key in the region of the application." };
}

function skipped(...checks: readonly string[]): readonly TenantFinding[] {
  return checks.map((check) => ({ check, level: "skipped", whose: "tenant", detail: "an earlier check failed" }));
}

async function checked(check: string, whose: Whose, detail: string, run: () => Promise<void>): Promise<TenantFinding> {
  try {
    await run();
    return { check, level: "ok", whose, detail };
  } catch (error) {
    return failedCheck(check, error, whose);
  }
}

/** What to do about a key that cannot be reached. @param addresses those that the vendor calls from */
export function reachHint(addresses: readonly string[]): string {
  const from = addresses.length === 0 ? "the vendor's outgoing addresses" : `the vendor's outgoing addresses (${addresses.join(", ")})`;
  return `Let the firewall of the key service admit ${from}, or connect by a private endpoint.`;
}

/** Makes a finding of a check that failed. @param addresses those that the vendor calls from */
export function failedCheck(check: string, error: unknown, whose: Whose, addresses: readonly string[] = []): TenantFinding {
  if (!EnvelockError.is(error)) {
    const isTime = error instanceof Error && error.name === "TimeoutError";
    return {
      check,
      level: "failed",
      whose,
      detail: isTime ? "the check did not end in time" : "it failed with an error that is not the library's",
    };
  }
  const party = error.whose ?? (REFUSALS.has(error.code) ? "tenant" : whose);
  const hint = UNREACHED.has(error.code) ? reachHint(addresses) : (error.hint ?? HINTS[error.code]);
  return { check, level: "failed", whose: party, detail: `${error.code}: ${error.message}`, ...(hint !== undefined && { hint }) };
}

const SLOW_MS = 500;
const UNREACHED: ReadonlySet<string> = new Set(["unavailable", "timeout"]);
const HINTS: Readonly<Record<string, string>> = {
  "access-denied": "The tenant grants wrap and unwrap on this key to the vendor's identity. A new grant may take minutes to spread.",
  "key-disabled":
    "The tenant enables this version of the key: it still exists, and nothing is lost. A refusal of an external key manager disables the version at the cloud too, so that granting again is not enough.",
  "key-not-found": "Compare the name of the key with its service, and the region. A deleted key can often be recovered for some days.",
};
/** The algorithms under which a wrong context must be refused by the key itself. */
const BINDS_CONTEXT: ReadonlySet<number> = new Set([
  WRAP_ALGORITHMS.xaes256Gcm,
  WRAP_ALGORITHMS.aesGcm,
  WRAP_ALGORITHMS.hpkeX25519,
  WRAP_ALGORITHMS.hpkeMlKem768X25519,
  WRAP_ALGORITHMS.opaqueWithContext,
]);
const KEY_CHECKS = ["key-expiry", "round-trip", "context", "latency"] as const;
const SERVICES: ReadonlySet<string> = new Set(["unavailable", "timeout", "rate-limited"]);
/** Checks of doctors on the way to the service, and on the identity of the caller. */
const REACH: ReadonlySet<string> = new Set(["tls", "challenge", "reach", "seal"]);
const IDENTITY: ReadonlySet<string> = new Set(["credentials", "token"]);
