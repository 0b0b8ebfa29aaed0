import { equalPublicBytes, toHex, wipe } from "../../../src/core/base/bytes.ts";
import { systemClock } from "../../../src/core/base/clock.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import { refuseUnknown } from "../../../src/core/base/options.ts";
import type { WrapOptions } from "../../../src/core/contracts/key-provider.ts";
import { adviceAfter } from "../../http/findings.ts";
import { azureKey } from "../azure-key.ts";
import { type KeyLocation, keyIdOf, parseKeyUrl } from "../key-url.ts";
import { CONNECTION_OPTIONS } from "../options.ts";
import { KeyVault } from "../sdk/key-vault.ts";
import { VaultConnection } from "../sdk/vault-connection.ts";
import { type AzureCheck, type AzureDiagnosisOptions, type AzureFinding, allSkipped, failed, ok, skipped, warning } from "./finding.ts";
import { stateFindings } from "./key-state.ts";
import { tokenFinding, vaultFindings } from "./reachability.ts";

/**
 * Checks a key from the name of its host to a round trip, for `envelock doctor` and for a start-up check. Wraps and unwraps 32 random
 * bytes, and changes nothing.
 *
 * @returns every check, in this order; a failure is a finding, not an exception
 * @throws `invalid-argument` for a bad option
 * @example
 * ```ts
 * import { ManagedIdentityCredential } from "@azure/identity";
 * import { diagnoseAzureKey } from "envelock/providers/azure";
 *
 * const credential = new ManagedIdentityCredential();
 * const findings = await diagnoseAzureKey({ keyUrl: "https://acme.vault.azure.net/keys/orders", credential });
 * console.table(findings.filter(({ status }) => status !== "ok"));
 * ```
 */
export async function diagnoseAzureKey(options: AzureDiagnosisOptions): Promise<readonly AzureFinding[]> {
  refuseUnknown(options, { ...CONNECTION_OPTIONS, keyUrl: true, aesKeyBits: true }, "diagnoseAzureKey");
  const key = parseKeyUrl(options.keyUrl, "keys", options);
  const connection = new VaultConnection(key, options);
  const { findings, tenantId } = await vaultFindings(key, options);
  const isReached = findings.every(({ status }) => status !== "failed");
  if (!isReached) return [...findings, ...allSkipped(["token", ...KEY_CHECKS], "the vault was not reached")];
  const token = await tokenFinding(key, tenantId, options);
  if (token.status === "failed") return [...findings, token, ...allSkipped(KEY_CHECKS, "there is no token for the vault")];
  const vault = new KeyVault(connection);
  try {
    return [...findings, token, ...(await keyFindings(vault, key, options))];
  } finally {
    vault.close();
  }
}

async function keyFindings(vault: KeyVault, key: KeyLocation, options: AzureDiagnosisOptions): Promise<readonly AzureFinding[]> {
  const nowMs = (options.clock ?? systemClock).unixMs();
  const [read, version] = await attempt("read", () => vault.readKey(key, key.version), "the key can be read");
  const state =
    version === undefined
      ? allSkipped(STATE_CHECKS, "the key could not be read")
      : stateFindings(version, keyIdOf(key, version.version), nowMs);
  return [
    read,
    ...state,
    ...(await roundTrip(options)),
    version?.isOfCertificate === true ? CERTIFICATE_ROTATION : await rotationFinding(vault, key),
    await versionsFinding(vault, key),
    await rightsFinding(vault, key),
  ];
}

async function roundTrip({ clock = systemClock, ...options }: AzureDiagnosisOptions): Promise<readonly AzureFinding[]> {
  const provider = azureKey({ ...options, clock, minVersionAgeMs: 0 });
  const secret = crypto.getRandomValues(new Uint8Array(32));
  const started = clock.unixMs();
  try {
    const [wrap, recipient] = await attempt("wrap", () => provider.wrap(secret, WRAP_OPTIONS), "32 bytes can be wrapped");
    if (recipient === undefined) return [wrap, skipped("unwrap", "nothing could be wrapped that could be unwrapped")];
    const unwrapStarted = clock.unixMs();
    const unwrap = await unwrapFinding(
      () => provider.unwrap(recipient, WRAP_OPTIONS),
      secret,
      () => clock.unixMs() - unwrapStarted,
    );
    return [{ ...wrap, message: `${wrap.message} with ${recipient.keyId}, in ${unwrapStarted - started} ms with the first calls` }, unwrap];
  } finally {
    wipe(secret);
    await provider.close();
  }
}

async function unwrapFinding(call: () => Promise<Uint8Array>, secret: Uint8Array, durationMs: () => number): Promise<AzureFinding> {
  const [unwrap, bytes] = await attempt("unwrap", call, "and unwrapped");
  if (bytes === undefined) return unwrap;
  const isSame = equalPublicBytes(bytes, secret);
  wipe(bytes);
  if (isSame) return { ...unwrap, message: `${unwrap.message} again, in ${durationMs()} ms` };
  return failed("unwrap", "what was unwrapped is not what was wrapped", "ask the service's support; the request ids are in its log");
}

async function rotationFinding(vault: KeyVault, key: KeyLocation): Promise<AzureFinding> {
  const [read, actions] = await attempt("rotation", () => vault.rotationActions(key), "");
  if (actions === undefined) return { ...read, status: "skipped", message: `the rotation policy cannot be read: ${read.message}` };
  if (actions.includes("rotate")) return ok("rotation", "the key rotates by its policy");
  return warning("rotation", "the key has no policy that rotates it", "az keyvault key rotation-policy update, or rotate by hand");
}

async function versionsFinding(vault: KeyVault, key: KeyLocation): Promise<AzureFinding> {
  const [listed, versions] = await attempt("versions", () => vault.listVersions(key), "");
  if (versions === undefined) return { ...listed, status: "skipped", message: `the versions cannot be listed: ${listed.message}` };
  const enabled = versions.filter(({ isEnabled }) => isEnabled).length;
  const message = `${versions.length} versions, ${enabled} of them enabled`;
  const [most, beyond] = key.isManagedHsm ? [100, "the HSM takes no more"] : [500, "the key cannot be backed up"];
  if (versions.length < 0.8 * most) return ok("versions", message);
  return warning("versions", message, `above ${most} ${beyond}: rotate less often, and start a new key in time`);
}

/** Asks to change a version that no key has: that tells the right to change keys, and changes none. */
async function rightsFinding(vault: KeyVault, key: KeyLocation): Promise<AzureFinding> {
  try {
    await vault.changeNothing(key, toHex(crypto.getRandomValues(new Uint8Array(16))));
  } catch (error) {
    if (!(error instanceof EnvelockError)) throw error;
    if (error.code === "access-denied") return ok("excess-rights", "the identity cannot change the key");
    if (error.code !== "key-not-found")
      return skipped("excess-rights", `whether the identity may change the key cannot be told: ${error.code}`);
  }
  const advice = "assign the role Key Vault Crypto Service Encryption User (Managed HSM Crypto Service Encryption User) and no other";
  return warning("excess-rights", "the identity may change the key, which no program needs that wraps and unwraps", advice);
}

/** Turns the result of a call into a finding, and returns it with the value. */
async function attempt<T>(check: AzureCheck, call: () => Promise<T>, message: string): Promise<readonly [AzureFinding, T | undefined]> {
  try {
    const value = await call();
    return [ok(check, message), value];
  } catch (error) {
    if (!(error instanceof EnvelockError)) throw error;
    return [{ ...failed(check, `${error.code}: ${error.message}`, adviceAfter(error)), code: error.code }, undefined];
  }
}

const STATE_CHECKS: readonly AzureCheck[] = ["key-type", "enabled", "validity", "key-operations", "recovery"];
const KEY_CHECKS: readonly AzureCheck[] = ["read", ...STATE_CHECKS, "wrap", "unwrap", "rotation", "versions", "excess-rights"];
const CERTIFICATE_ROTATION: AzureFinding = skipped("rotation", "the key belongs to a certificate: the policy of that renews it");
const WRAP_OPTIONS: WrapOptions = { keyContext: {}, wrapAad: () => new Uint8Array(0) };
