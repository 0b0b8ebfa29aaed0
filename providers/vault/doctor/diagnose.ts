import { systemClock } from "../../../src/core/base/clock.ts";
import { refuseUnknown } from "../../../src/core/base/options.ts";
import type { Finding } from "../../../src/core/contracts/finding.ts";
import { fieldOf, textFieldOf } from "../../http/fields.ts";
import { Findings, optional } from "../../http/findings.ts";
import { tripFindings } from "../../http/trip-findings.ts";
import { VaultConnection } from "../connection.ts";
import { TRANSIT_KEY_OPTIONS, type VaultTransitKeyOptions, vaultTransitKey } from "../vault-transit-key.ts";

export type VaultCheck =
  | "reach"
  | "seal"
  | "token"
  | "key"
  | "key-type"
  | "exportable"
  | "deletion"
  | "versions"
  | "upsert"
  | "excess-rights"
  | "wrap"
  | "unwrap"
  | "context"
  | "latency";

/**
 * Looks at a transit key from the server's address to a round trip, for `envelock doctor` and for a check at start. Wraps and unwraps 32
 * random bytes, and changes nothing.
 *
 * @returns every check, in this order; what it meets is a finding, not an exception
 * @throws `invalid-argument` for a bad option
 * @example
 * ```ts
 * import { diagnoseVaultKey } from "envelock/providers/vault";
 *
 * const findings = await diagnoseVaultKey({ address: "https://vault.example:8200", token: "hvs.…", key: "orders" });
 * console.table(findings.filter(({ status }) => status !== "ok"));
 * ```
 */
export async function diagnoseVaultKey(options: VaultTransitKeyOptions): Promise<readonly Finding<VaultCheck>[]> {
  refuseUnknown(options, TRANSIT_KEY_OPTIONS, "diagnoseVaultKey");
  const provider = vaultTransitKey(options); // checks the values
  await provider.close();
  const { key, mount = "transit", keyType: _, id: __, ...connectionOptions } = options;
  const connection = new VaultConnection(connectionOptions);
  const findings = new Findings<VaultCheck>();
  if (!(await isReached(connection, findings))) {
    findings.skip(["token", ...KEY_CHECKS, ...TRIP_CHECKS], "the server was not reached");
    return findings.all;
  }
  const token = await findings.try("token", () =>
    connection.call({ operation: "read-key", of: "the token", method: "GET", path: "/v1/auth/token/lookup-self" }, undefined),
  );
  if (token === undefined) {
    findings.skip([...KEY_CHECKS, ...TRIP_CHECKS], "there is no token that works");
    return findings.all;
  }
  findings.ok("token", tokenMessage(token));
  await keyFindings(connection, `/v1/${mount}/keys/${key}`, options, findings);
  await rightsFindings(connection, mount, key, findings);
  const { clock = systemClock, keyType = "aead" } = options;
  const mayUnwrap = (): Promise<boolean> => mayDecrypt(connection, `${mount}/decrypt/${key}`);
  const trip = { clock, mayUnwrap, bindsContext: keyType === "aead", contextAdvice: "use a server of version 1.12 or later" };
  await tripFindings({ ...trip, provider: vaultTransitKey(options) }, findings);
  return findings.all;
}

async function isReached(connection: VaultConnection, findings: Findings<VaultCheck>): Promise<boolean> {
  const health = await findings.try("reach", () => connection.health());
  if (health === undefined) {
    findings.skip(["seal"], "the server was not reached");
    return false;
  }
  findings.ok("reach", `${connection.origin} answers`);
  if (fieldOf(health, "sealed") === true) findings.fail("seal", "the server is sealed", "unseal it; until then every call is unavailable");
  else findings.ok("seal", "the server is unsealed");
  return fieldOf(health, "sealed") !== true;
}

function tokenMessage(token: unknown): string {
  const seconds = fieldOf(token, "ttl");
  return typeof seconds === "number" && seconds > 0
    ? `the token works for another ${seconds} s`
    : "the token works, and does not end by itself";
}

async function keyFindings(
  connection: VaultConnection,
  path: string,
  { keyType = "aead" }: VaultTransitKeyOptions,
  findings: Findings<VaultCheck>,
): Promise<void> {
  const key = await findings.try("key", () => connection.call({ operation: "read-key", of: path, method: "GET", path }, undefined));
  if (key === undefined) {
    findings.skip(KEY_CHECKS.slice(1), "the key could not be read; reading is needed for `current` and these checks alone");
    return;
  }
  const type = textFieldOf(key, "type") ?? "unknown";
  const latest = fieldOf(key, "latest_version");
  const oldest = fieldOf(key, "min_decryption_version");
  // keys of the engine do not expire
  findings.add({ check: "key", status: "ok", message: `the key is there, its latest version is ${latest}`, notAfterMs: null });
  if (!WRAPPING_TYPES.test(type)) findings.fail("key-type", `a key of type ${type} cannot wrap keys`, "use a key of type aes256-gcm96");
  else if (type.startsWith("rsa-") !== (keyType === "rsa")) {
    findings.fail(
      "key-type",
      `the key is of type ${type}, and keyType is "${keyType}"`,
      `give keyType: "${type.startsWith("rsa-") ? "rsa" : "aead"}"`,
    );
  } else if (fieldOf(key, "derived") === true) {
    findings.fail(
      "key-type",
      "the key is a derived one, which needs a context of the server's at each call",
      "make a key without `derived`",
    );
  } else findings.ok("key-type", `the key is of type ${type}`);
  const isExportable = fieldOf(key, "exportable") === true || fieldOf(key, "allow_plaintext_backup") === true;
  if (isExportable) findings.warn("exportable", "the key can leave the server in clear", "make a new key: the flags cannot be cleared");
  else findings.ok("exportable", "the key cannot leave the server");
  if (fieldOf(key, "soft_deleted") === true) findings.fail("deletion", "the key is soft-deleted", "restore it");
  else if (fieldOf(key, "deletion_allowed") === true)
    findings.warn("deletion", "the key may be deleted", "set deletion_allowed=false in its config");
  else findings.ok("deletion", "the key cannot be deleted");
  if (typeof oldest === "number" && oldest > 1)
    findings.warn("versions", `versions below ${oldest} do not decrypt`, "lower min_decryption_version while anything names them");
  else findings.ok("versions", "every version decrypts");
}

async function rightsFindings(connection: VaultConnection, mount: string, key: string, findings: Findings<VaultCheck>): Promise<void> {
  const encrypt = `${mount}/encrypt/${key}`;
  const excesses = EXCESSIVE.map(({ path, ...rest }) => ({ ...rest, path: path.replace("{mount}", mount).replace("{key}", key) }));
  const paths = [encrypt, ...excesses.map(({ path }) => path)];
  const capabilities = await optional(() => capabilitiesOn(connection, paths));
  const held = heldOn(capabilities, encrypt);
  if (held === undefined) {
    findings.skip(["upsert", "excess-rights"], "the token may not ask for its own capabilities");
    return;
  }
  // with the capability `create` a misspelt name makes a new key at the first encryption
  if (held.includes("create") || held.includes("root"))
    findings.warn("upsert", "the token may create keys: a misspelt name makes a new one", "grant `update` alone on this path");
  else findings.ok("upsert", "the token cannot create a key by mistake");
  const excess = excesses.filter(({ path, capability }) => {
    const own = heldOn(capabilities, path) ?? [];
    return own.includes(capability) || own.includes("root") || own.includes("sudo");
  });
  if (excess.length === 0) findings.ok("excess-rights", "the token can neither change, export nor delete the key");
  else {
    const what = excess.map(({ meaning, capability, path }) => `${meaning} (${capability} on ${path})`).join(", ");
    findings.warn("excess-rights", `the token may ${what}`, "take these paths out of its policy: it needs update on encrypt and decrypt");
  }
}

/** What the token may do, by path. */
async function capabilitiesOn(connection: VaultConnection, paths: readonly string[]): Promise<unknown> {
  const body = JSON.stringify({ paths });
  const of = paths.join(", ");
  return await connection.call({ operation: "read-key", of, method: "POST", path: "/v1/sys/capabilities-self", body }, undefined);
}

/** Whether a token may unwrap, also where it may not wrap. @throws where it may not ask */
async function mayDecrypt(connection: VaultConnection, path: string): Promise<boolean> {
  const held = heldOn(await capabilitiesOn(connection, [path]), path) ?? [];
  return held.includes("update") || held.includes("root");
}

function heldOn(capabilities: unknown, path: string): readonly unknown[] | undefined {
  const held = fieldOf(capabilities, path);
  return Array.isArray(held) ? held : undefined;
}

const KEY_CHECKS: readonly VaultCheck[] = ["key", "key-type", "exportable", "deletion", "versions"];
const TRIP_CHECKS: readonly VaultCheck[] = ["upsert", "excess-rights", "wrap", "unwrap", "context", "latency"];
/** Rights that wrapping and unwrapping do not need. */
const EXCESSIVE: readonly { readonly path: string; readonly capability: string; readonly meaning: string }[] = [
  { path: "{mount}/keys/{key}", capability: "delete", meaning: "delete the key" },
  { path: "{mount}/keys/{key}/config", capability: "update", meaning: "allow its deletion and export" },
  { path: "{mount}/keys/{key}/trim", capability: "update", meaning: "destroy old versions" },
  { path: "{mount}/export/encryption-key/{key}", capability: "read", meaning: "export the key" },
  { path: "{mount}/backup/{key}", capability: "read", meaning: "back the key up in clear" },
];
const WRAPPING_TYPES = /^(?:aes(?:128|256)-gcm96|x?chacha20-poly1305|rsa-(?:2048|3072|4096)|external-key)$/;
