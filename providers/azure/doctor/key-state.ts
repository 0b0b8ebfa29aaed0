import type { KeyVersion } from "../sdk/key-vault.ts";
import { type AzureFinding, failed, ok, skipped, warning } from "./finding.ts";

/** Finds the faults of a version in the service's description of it. */
export function stateFindings(version: KeyVersion, keyId: string, nowMs: number): readonly AzureFinding[] {
  return [
    typeFinding(version),
    version.isEnabled
      ? ok("enabled", `${keyId} is enabled`)
      : failed("enabled", `${keyId} is disabled`, "enable it, or rotate the key: wraps need an enabled version, and unwraps theirs"),
    validityFinding(version, nowMs),
    operationsFinding(version),
    recoveryFinding(version),
  ];
}

function typeFinding({ keyType, publicKey }: KeyVersion): AzureFinding {
  const bits = publicKey === undefined ? "" : ` of ${publicKey.n.length * 8} bits`;
  if (HSM_TYPES.has(keyType)) return ok("key-type", `${keyType}${bits}, kept in an HSM`);
  if (keyType === "RSA") return ok("key-type", `${keyType}${bits}, protected by software`);
  return failed("key-type", `a key of type ${keyType} cannot wrap keys`, "make a key of type RSA, RSA-HSM or oct-HSM");
}

function validityFinding({ notBeforeMs, expiresMs, isOfCertificate }: KeyVersion, nowMs: number): AzureFinding {
  if (notBeforeMs !== undefined && nowMs < notBeforeMs) {
    return failed("validity", `the newest version is not valid before ${dateOf(notBeforeMs)}`, "wait, or change its activation date");
  }
  if (expiresMs === undefined) return { ...ok("validity", "the newest version has no expiry"), notAfterMs: null };
  const renew = isOfCertificate ? "renew its certificate" : "rotate the key";
  if (nowMs >= expiresMs) {
    const past = failed("validity", `the newest version expired on ${dateOf(expiresMs)}`, `${renew}; what it wrapped still unwraps`);
    return { ...past, notAfterMs: expiresMs };
  }
  const days = Math.floor((expiresMs - nowMs) / DAY_MS);
  if (days >= NEAR_EXPIRY_DAYS) return { ...ok("validity", `the newest version expires on ${dateOf(expiresMs)}`), notAfterMs: expiresMs };
  const advice = `${renew} before that, or nothing more can be wrapped`;
  return { ...warning("validity", `the newest version expires in ${days} days`, advice), notAfterMs: expiresMs };
}

function operationsFinding({ operations, isOfCertificate }: KeyVersion): AzureFinding {
  const missing = ["wrapKey", "unwrapKey"].filter((operation) => operations !== undefined && !operations.includes(operation));
  if (missing.length === 0) return ok("key-operations", "wrapKey and unwrapKey are among the key's operations");
  const advice = isOfCertificate
    ? "make the certificate anew with the key usage keyEncipherment in its policy"
    : "az keyvault key set-attributes --ops wrapKey unwrapKey ...";
  return failed("key-operations", `the key's operations lack ${missing.join(" and ")}`, advice);
}

function recoveryFinding({ recoveryLevel }: KeyVersion): AzureFinding {
  if (recoveryLevel === undefined) return skipped("recovery", "the service does not say what becomes of a deleted key");
  if (!recoveryLevel.includes("Purgeable")) return ok("recovery", `${recoveryLevel}: a deleted key can be recovered and not be purged`);
  const advice = "az keyvault update --name <vault> --enable-purge-protection true; it cannot be undone";
  return failed("recovery", `${recoveryLevel}: whoever may purge keys can destroy this one and all that it wrapped`, advice);
}

function dateOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

const HSM_TYPES: ReadonlySet<string> = new Set(["RSA-HSM", "oct-HSM"]);
const DAY_MS = 86_400_000;
const NEAR_EXPIRY_DAYS = 30;
