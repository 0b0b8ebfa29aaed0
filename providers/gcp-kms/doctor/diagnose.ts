import { systemClock } from "../../../src/core/base/clock.ts";
import { refuseUnknown } from "../../../src/core/base/options.ts";
import type { Finding } from "../../../src/core/contracts/finding.ts";
import { fieldOf, textFieldOf } from "../../http/fields.ts";
import { Findings } from "../../http/findings.ts";
import { type TripCheck, tripFindings } from "../../http/trip-findings.ts";
import { GcpConnection } from "../connection.ts";
import { type GcpKmsKeyOptions, gcpKmsKey, KEY_OPTIONS } from "../gcp-kms-key.ts";
import { versionName } from "../key-name.ts";

export type GcpKmsCheck =
  | "token"
  | "rights"
  | "excess-rights"
  | "key"
  | "key-type"
  | "state"
  | "expiry"
  | "protection"
  | "rotation"
  | "destruction"
  | TripCheck;

/**
 * Looks at a key from the access token to a round trip, for `envelock doctor` and for a check at start. Wraps and unwraps 32 random
 * bytes, and changes nothing.
 *
 * @returns every check, in this order; what it meets is a finding, not an exception
 * @throws `invalid-argument` for a bad option
 * @example
 * ```ts
 * import { diagnoseGcpKey, metadataServer } from "envelock/providers/gcp-kms";
 *
 * const key = "projects/acme/locations/europe-west3/keyRings/main/cryptoKeys/orders";
 * const findings = await diagnoseGcpKey({ key, token: metadataServer() });
 * console.table(findings.filter(({ status }) => status !== "ok"));
 * ```
 */
export async function diagnoseGcpKey(options: GcpKmsKeyOptions): Promise<readonly Finding<GcpKmsCheck>[]> {
  refuseUnknown(options, KEY_OPTIONS, "diagnoseGcpKey");
  const provider = gcpKmsKey(options); // checks the values
  const { key, keyType = "symmetric", version = 1, verifyVersion: _, ...connectionOptions } = options;
  const { clock = systemClock } = options;
  const connection = new GcpConnection(connectionOptions);
  const findings = new Findings<GcpKmsCheck>();
  const token = await findings.try("token", () => connection.token());
  if (token === undefined) {
    findings.skip(["rights", "excess-rights", ...KEY_CHECKS, ...TRIP_CHECKS], "there is no access token");
    await provider.close();
    return findings.all;
  }
  findings.ok("token", `there is an access token for another ${Math.round((token.expiresAtMs - clock.unixMs()) / 1000)} s`);
  await rightsFinding(connection, key, keyType, findings);
  await keyFindings(connection, { key, keyType, version }, findings);
  const bindsContext = keyType === "symmetric";
  const contextAdvice = "use the endpoint of Cloud KMS itself; an external key manager must authenticate the additional data";
  await tripFindings({ provider, clock, bindsContext, contextAdvice }, findings);
  return findings.all;
}

type KeyType = "symmetric" | "rsa";

async function rightsFinding(connection: GcpConnection, key: string, keyType: KeyType, findings: Findings<GcpKmsCheck>): Promise<void> {
  const needed = RIGHTS[keyType];
  const body = { permissions: [...Object.keys(needed), ...Object.keys(EXCESSIVE)] };
  const answer = await findings.try("rights", () =>
    connection.call({ operation: "test-permissions", name: key, suffix: ":testIamPermissions", body }, undefined),
  );
  if (answer === undefined) {
    findings.skip(["excess-rights"], "the rights could not be asked for");
    return;
  }
  const permissions = fieldOf(answer, "permissions"); // left out where none is held
  const held: readonly unknown[] = Array.isArray(permissions) ? permissions : [];
  const missing = Object.entries(needed).filter(([permission]) => !held.includes(permission));
  if (missing.length === 0) findings.ok("rights", "the principal may wrap and unwrap");
  else {
    findings.fail(
      "rights",
      `the principal lacks ${missing.map(([permission]) => permission).join(", ")}`,
      `grant it ${missing.map(([, role]) => role).join(" and ")} on the key`,
    );
  }
  const excess = Object.entries(EXCESSIVE).filter(([permission]) => held.includes(permission));
  if (excess.length === 0) findings.ok("excess-rights", "the principal can neither destroy nor change the key, nor give rights to others");
  else {
    const what = excess.map(([, meaning]) => meaning).join(", ");
    const advice = "take its other roles on the key, the key ring and the project away: wrapping and unwrapping need none of them";
    findings.warn("excess-rights", `the principal may ${what}`, advice);
  }
}

interface Looked {
  readonly key: string;
  readonly keyType: KeyType;
  /** The version that wraps, of an RSA key. */
  readonly version: number;
}

async function keyFindings(connection: GcpConnection, { key, keyType, version }: Looked, findings: Findings<GcpKmsCheck>): Promise<void> {
  const answer = await findings.try("key", () => connection.call({ operation: "get-key", name: key }, undefined));
  if (answer === undefined) {
    findings.skip(KEY_CHECKS.slice(1), "the key could not be read; cloudkms.cryptoKeys.get is needed for `current` and these checks alone");
    return;
  }
  findings.ok("key", `${connection.origin} has the key`);
  const purpose = textFieldOf(answer, "purpose") ?? "none";
  const actual = TYPE_BY_PURPOSE[purpose];
  if (actual === undefined)
    findings.fail(
      "key-type",
      `a key with the purpose ${purpose} cannot wrap keys`,
      "make one with --purpose encryption: the purpose of a key never changes",
    );
  else if (actual !== keyType)
    findings.fail("key-type", `the key has the purpose ${purpose}, and keyType is "${keyType}"`, `give keyType: "${actual}"`);
  else findings.ok("key-type", `the key has the purpose ${purpose}`);
  const wrapping =
    keyType === "symmetric"
      ? fieldOf(answer, "primary")
      : await findings.try("state", () => connection.call({ operation: "get-version", name: versionName(key, version) }, undefined));
  if (keyType === "symmetric" || wrapping !== undefined) stateFinding(wrapping, findings);
  findings.add({ check: "expiry", status: "ok", message: "versions of a key do not expire", notAfterMs: null });
  const level = textFieldOf(wrapping, "protectionLevel") ?? textFieldOf(fieldOf(answer, "versionTemplate"), "protectionLevel") ?? "unknown";
  protectionFinding(level, findings);
  if (keyType === "rsa" || level.startsWith("EXTERNAL")) findings.skip(["rotation"], "the service does not rotate such a key");
  else if (textFieldOf(answer, "rotationPeriod") === undefined)
    findings.warn("rotation", "the key is not rotated", "gcloud kms keys update --rotation-period 90d --next-rotation-time <time>");
  else findings.ok("rotation", `the key is rotated by itself, next at ${textFieldOf(answer, "nextRotationTime") ?? "an unknown time"}`);
  destructionFinding(textFieldOf(answer, "destroyScheduledDuration"), findings);
}

/** @param version the one that wraps; undefined where the key has no primary version */
function stateFinding(version: unknown, findings: Findings<GcpKmsCheck>): void {
  const state = textFieldOf(version, "state") ?? "unknown";
  if (version === undefined) findings.fail("state", "the key has no primary version", "gcloud kms keys set-primary-version");
  else if (state === "ENABLED") findings.ok("state", "the version that wraps is enabled");
  else if (state === "DISABLED")
    findings.fail("state", "the version that wraps is disabled", "gcloud kms keys versions enable, or make another one the primary");
  else if (state === "DESTROY_SCHEDULED") {
    const time = textFieldOf(version, "destroyTime");
    const endMs = Date.parse(time ?? "");
    findings.add({
      check: "state",
      status: "failed",
      message: `the version that wraps will be destroyed at ${time ?? "an unknown time"}`,
      advice: "gcloud kms keys versions restore, then enable",
      ...(!Number.isNaN(endMs) && { notAfterMs: endMs }),
    });
  } else findings.fail("state", `the version that wraps is in the state ${state}`, "make another version the primary");
}

function protectionFinding(level: string, findings: Findings<GcpKmsCheck>): void {
  if (level.startsWith("EXTERNAL"))
    findings.warn(
      "protection",
      `the key is in an external key manager (${level})`,
      "watch that manager too: without it nothing is opened, and its refusal disables the version",
    );
  else findings.ok("protection", `the protection level is ${level}`);
}

function destructionFinding(duration: string | undefined, findings: Findings<GcpKmsCheck>): void {
  const [, seconds] = /^(\d{1,12})(?:\.\d+)?s$/.exec(duration ?? "") ?? [];
  if (seconds === undefined) {
    findings.skip(["destruction"], "the service does not say how long a destroyed version can be restored");
    return;
  }
  const message = `a destroyed version can be restored for ${Math.round(Number(seconds) / 3600)} hours`;
  if (Number(seconds) >= WEEK_SECONDS) findings.ok("destruction", message);
  else findings.warn("destruction", message, "make the next key with --destroy-scheduled-duration 30d: it cannot be changed later");
}

/** The permission, and the role that has it. */
const RIGHTS: Readonly<Record<KeyType, Readonly<Record<string, string>>>> = {
  symmetric: {
    "cloudkms.cryptoKeyVersions.useToEncrypt": "roles/cloudkms.cryptoKeyEncrypter",
    "cloudkms.cryptoKeyVersions.useToDecrypt": "roles/cloudkms.cryptoKeyDecrypter",
  },
  rsa: {
    "cloudkms.cryptoKeyVersions.viewPublicKey": "roles/cloudkms.publicKeyViewer",
    "cloudkms.cryptoKeyVersions.useToDecrypt": "roles/cloudkms.cryptoKeyDecrypter",
  },
};
/** Permissions that wrapping and unwrapping do not need, and what they allow. */
const EXCESSIVE: Readonly<Record<string, string>> = {
  "cloudkms.cryptoKeyVersions.destroy": "destroy versions of the key",
  "cloudkms.cryptoKeyVersions.update": "disable versions of the key",
  "cloudkms.cryptoKeys.update": "change the key",
  "cloudkms.cryptoKeys.setIamPolicy": "give rights on the key to others",
};
const TYPE_BY_PURPOSE: Readonly<Partial<Record<string, KeyType>>> = { ENCRYPT_DECRYPT: "symmetric", ASYMMETRIC_DECRYPT: "rsa" };
const KEY_CHECKS: readonly GcpKmsCheck[] = ["key", "key-type", "state", "expiry", "protection", "rotation", "destruction"];
const TRIP_CHECKS: readonly GcpKmsCheck[] = ["wrap", "unwrap", "context", "latency"];
const WEEK_SECONDS = 604_800;
