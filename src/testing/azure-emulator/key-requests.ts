import { badParameter, forbidden, throttled } from "./answer.ts";
import { signDigest, verifyDigest } from "./digest-signature.ts";
import type { JsonFields } from "./json-fields.ts";
import { type CipherInput, decryptUnder, encryptUnder, unwrapUnder, wrapUnder } from "./key-algorithms.ts";
import { openBackup, sealBackup } from "./key-backup.ts";
import { bundleOf, deletionOf, keyIdOf, listItemOf, rotationPolicyOf } from "./key-bundle.ts";
import { importedKey, type KeyKind, keyKind, newMaterial, unwrappedKey } from "./key-material.ts";
import { isKeyOperation, type KeyOperation, type StoredKey, type StoredVersion, type VersionAttributes } from "./key-store.ts";
import { pageOf } from "./pages.ts";
import { changeVersion, type Deleted } from "./recoverable-objects.ts";
import { openTransfer, parseTransferFile } from "./transfer-key.ts";
import type { Vault, VaultCall } from "./vault.ts";

export function readKey({ vault, name, version }: VaultCall): object {
  return bundleOf(vault, vault.keys.find(name), counted(vault, vault.keys.version(name, version)));
}

export function listKeys(call: VaultCall): object {
  const { vault } = call;
  const items = vault.keys.all.flatMap((key) => {
    const newest = vault.keys.visibleVersions(key.name).at(-1);
    return newest === undefined ? [] : [listItemOf(vault, keyIdOf(vault, key.name), key, newest)];
  });
  return pageOf(items, "/keys", call);
}

export function listVersions(call: VaultCall): object {
  const { vault, name } = call;
  const key = vault.keys.find(name);
  const items = vault.keys.visibleVersions(name).map((version) => listItemOf(vault, keyIdOf(vault, name, version.id), key, version));
  return pageOf(items, `/keys/${name}/versions`, call);
}

export async function createKey({ vault, name, body }: VaultCall): Promise<object> {
  const kind = keptKind(vault, keyKind(body.text("kty") ?? "", body.number("key_size"), body.text("crv")));
  if (vault.limits?.takeCreation(kind) === false) throw throttled(vault.retryAfterSeconds);
  const version = vault.keys.add(name, kind, await newMaterial(kind), attributesIn(body, body.texts("key_ops")));
  return bundleOf(vault, vault.keys.find(name), version);
}

/** Imports a key in the clear, or a `.byok` file that an HSM made for a key of this vault. */
export function importKey({ vault, name, body }: VaultCall): object {
  const jwk = body.object("key");
  const transfer = jwk.bytes("key_hsm");
  const isHsm = body.flag("Hsm") === true || transfer !== undefined;
  const { kind, material } =
    transfer === undefined ? importedKey(jwk, isHsm) : unwrappedKey(jwk.text("kty") ?? "", transferred(vault, transfer));
  const version = vault.keys.add(name, keptKind(vault, kind), material, attributesIn(body, jwk.texts("key_ops")));
  return bundleOf(vault, vault.keys.find(name), version);
}

export function updateKey({ vault, name, version, body }: VaultCall): object {
  const stored = vault.keys.version(name, version);
  const key = vault.keys.ownKey(name);
  changeVersion(stored, attributesIn(body, body.texts("key_ops")), vault.nowSeconds);
  return bundleOf(vault, key, stored);
}

export async function rotateKey({ vault, name }: VaultCall): Promise<object> {
  const key = vault.keys.ownKey(name);
  if (vault.flavour === "managed-hsm" && key.rotationPolicy === undefined) throw badParameter("The key has no rotation policy.");
  return bundleOf(vault, key, await vault.newVersion(name));
}

export function rotationPolicy({ vault, name }: VaultCall): object {
  return rotationPolicyOf(vault, name, vault.keys.find(name).rotationPolicy);
}

export function setRotationPolicy({ vault, name, body }: VaultCall): object {
  const key = vault.keys.ownKey(name);
  const expiryTime = body.object("attributes").text("expiryTime");
  if (expiryTime !== undefined && durationSeconds(expiryTime) === undefined) throw badParameter("expiryTime is a duration such as P90D.");
  const created = key.rotationPolicy?.created ?? vault.nowSeconds;
  key.rotationPolicy = {
    lifetimeActions: body.objects("lifetimeActions").map(lifetimeAction),
    expiryTime,
    created,
    updated: vault.nowSeconds,
  };
  return rotationPolicyOf(vault, name, key.rotationPolicy);
}

export function backUpKey({ vault, name }: VaultCall): object {
  return { value: sealBackup(vault.keys.ownKey(name), vault.geography).toString("base64url") };
}

export function restoreKey({ vault, body }: VaultCall): object {
  const key = openBackup(body.bytes("value") ?? Buffer.alloc(0), vault.geography);
  vault.keys.restore(key);
  return bundleOf(vault, key, vault.keys.version(key.name, ""));
}

export function deleteKey({ vault, name }: VaultCall): object {
  vault.keys.ownKey(name);
  return deletedBundle(vault, vault.keys.delete(name));
}

export function listDeletedKeys(call: VaultCall): object {
  const { vault } = call;
  const items = vault.keys.allDeleted.flatMap((deleted) => {
    const { item: key } = deleted;
    const newest = key.versions.at(-1);
    if (newest === undefined) return [];
    return [{ ...deletionOf(vault, `deletedkeys/${key.name}`, deleted), ...listItemOf(vault, keyIdOf(vault, key.name), key, newest) }];
  });
  return pageOf(items, "/deletedkeys", call);
}

export function readDeletedKey({ vault, name }: VaultCall): object {
  return deletedBundle(vault, vault.keys.findDeleted(name));
}

export function recoverKey({ vault, name }: VaultCall): object {
  vault.keys.ownDeletedKey(name);
  const key = vault.keys.recover(name);
  const newest = key.versions.at(-1);
  return newest === undefined ? {} : bundleOf(vault, key, newest);
}

export function purgeKey({ vault, name }: VaultCall): undefined {
  vault.keys.ownDeletedKey(name);
  vault.keys.purge(name);
}

export function wrapKey(call: VaultCall): object {
  const { stored, algorithm, value } = keyInUse(call, "wrapKey");
  return resultOf(call, stored, wrapUnder(stored.kind, stored.material, algorithm, value));
}

export function unwrapKey(call: VaultCall): object {
  const { stored, algorithm, value } = keyInUse(call, "unwrapKey");
  return resultOf(call, stored, unwrapUnder(stored.kind, stored.material, algorithm, value));
}

export function encrypt(call: VaultCall): object {
  const { stored, algorithm, value } = keyInUse(call, "encrypt");
  const { start, aad, tag, value: encrypted } = encryptUnder(stored.kind, stored.material, cipherInput(call, algorithm, value));
  const beside = Object.entries({ iv: start, aad, tag }).flatMap(([name, bytes]) => (bytes === undefined ? [] : [[name, encoded(bytes)]]));
  return { ...resultOf(call, stored, encrypted), ...Object.fromEntries(beside) };
}

export function decrypt(call: VaultCall): object {
  const { stored, algorithm, value } = keyInUse(call, "decrypt");
  return resultOf(call, stored, decryptUnder(stored.kind, stored.material, cipherInput(call, algorithm, value)));
}

export function sign(call: VaultCall): object {
  const { stored, algorithm, value } = keyInUse(call, "sign");
  if (Buffer.isBuffer(stored.material)) throw badParameter("An oct key does not sign.");
  return resultOf(call, stored, signDigest(stored.kind, stored.material, algorithm, value));
}

export function verify(call: VaultCall): object {
  const { stored, algorithm, value } = keyInUse(call, "verify");
  if (Buffer.isBuffer(stored.material)) throw badParameter("An oct key does not sign.");
  const digest = call.body.bytes("digest") ?? Buffer.alloc(0);
  return { value: verifyDigest(stored.kind, stored.material, algorithm, digest, value) };
}

/** Converts an ISO 8601 duration in whole days, months or years to seconds. */
export function durationSeconds(duration: string): number | undefined {
  const [, count, unit = ""] = /^P([1-9][0-9]{0,4})([DMY])$/.exec(duration) ?? [];
  return count === undefined ? undefined : Number(count) * (UNIT_DAYS[unit] ?? 0) * 86_400;
}

/**
 * Finds the version that a request uses. Checks its operations, its state and the vault's limit. As in the service, a disabled key still
 * wraps, encrypts and verifies, and a key outside its dates still unwraps and decrypts.
 */
function keyInUse(
  { vault, name, version, body }: VaultCall,
  operation: KeyOperation,
): { readonly stored: StoredVersion; readonly algorithm: string; readonly value: Buffer } {
  const stored = vault.keys.version(name, version);
  const { operations, enabled, nbf = 0, exp = Number.POSITIVE_INFINITY } = stored;
  const algorithm = body.text("alg");
  const value = body.bytes("value");
  if (algorithm === undefined || value === undefined) throw badParameter("alg or value is missing.");
  if (!operations.includes(operation)) throw forbidden("KeyOperationForbidden", {}, `The key is not made for ${operation}.`);
  if (!enabled && PRIVATE.has(operation)) throw forbidden("KeyDisabled", {}, `A disabled key does not ${operation}.`);
  if (!REGARDLESS_OF_DATES.has(operation)) {
    if (vault.nowSeconds < nbf) throw forbidden("KeyNotYetValid", {}, `The key does not ${operation} yet.`);
    if (vault.nowSeconds >= exp) throw forbidden("KeyExpired", {}, `An expired key does not ${operation}.`);
  }
  return { stored: counted(vault, stored), algorithm, value };
}

function counted(vault: Vault, stored: StoredVersion): StoredVersion {
  if (vault.limits?.take(stored.kind) === false) throw throttled(vault.retryAfterSeconds);
  return stored;
}

/** @throws Answer for a kind of key that such a vault does not keep */
export function keptKind({ flavour }: Pick<Vault, "flavour">, kind: KeyKind): KeyKind {
  const isHsm = kind.type.endsWith("-HSM");
  if (flavour === "managed-hsm" ? isHsm : kind.type !== "oct" && (flavour === "premium" || !isHsm)) return kind;
  throw badParameter(`A ${flavour} vault keeps no key of type ${kind.type}.`);
}

function transferred(vault: Vault, file: Buffer): Buffer {
  const { kid, ciphertext } = parseTransferFile(file);
  const [, name = "", version = ""] = /\/keys\/([^/]+)\/([0-9a-f]{32})$/i.exec(kid) ?? [];
  const { material, operations, kind } = vault.keys.version(name, version);
  const isExchangeKey = kind.type === "RSA-HSM" && operations.length === 1 && operations[0] === "import";
  if (Buffer.isBuffer(material) || !isExchangeKey) throw badParameter("The transfer file is for a key that is not made for import alone.");
  return openTransfer(material, ciphertext);
}

function attributesIn(body: JsonFields, operations: readonly string[] | undefined): VersionAttributes {
  const attributes = body.object("attributes");
  if (operations?.every(isKeyOperation) === false) throw badParameter("An operation in key_ops is not known.");
  return {
    enabled: attributes.flag("enabled"),
    nbf: attributes.number("nbf"),
    exp: attributes.number("exp"),
    operations: operations?.filter(isKeyOperation),
    tags: body.pairs("tags"),
  };
}

function lifetimeAction(action: JsonFields): object {
  const trigger = action.object("trigger");
  const timeAfterCreate = trigger.text("timeAfterCreate");
  const timeBeforeExpiry = trigger.text("timeBeforeExpiry");
  const type = action.object("action").text("type");
  return { trigger: { ...(timeAfterCreate && { timeAfterCreate }), ...(timeBeforeExpiry && { timeBeforeExpiry }) }, action: { type } };
}

function deletedBundle(vault: Vault, deleted: Deleted<StoredKey>): object {
  const { item: key } = deleted;
  const newest = key.versions.at(-1);
  return { ...deletionOf(vault, `deletedkeys/${key.name}`, deleted), ...(newest && bundleOf(vault, key, newest)) };
}

function cipherInput({ body }: VaultCall, algorithm: string, value: Buffer): CipherInput {
  return { algorithm, value, start: body.bytes("iv"), aad: body.bytes("aad"), tag: body.bytes("tag") };
}

function resultOf({ vault, name }: VaultCall, { id }: StoredVersion, value: Buffer): object {
  return { kid: keyIdOf(vault, name, id), value: encoded(value) };
}

function encoded(bytes: Buffer): string {
  return bytes.toString("base64url");
}

const PRIVATE: ReadonlySet<KeyOperation> = new Set(["unwrapKey", "decrypt", "sign"]);
const REGARDLESS_OF_DATES: ReadonlySet<KeyOperation> = new Set(["unwrapKey", "decrypt", "verify"]);
const UNIT_DAYS: Readonly<Record<string, number>> = { D: 1, M: 30, Y: 365 };
