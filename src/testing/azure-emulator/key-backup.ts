import { createCipheriv, createDecipheriv, createHash, createPrivateKey, randomBytes } from "node:crypto";
import { badParameter } from "./answer.ts";
import { JsonFields } from "./json-fields.ts";
import { type KeyMaterial, keyKind } from "./key-material.ts";
import { isKeyOperation, type StoredKey, type StoredVersion } from "./key-store.ts";

/** A backup: all versions of a key, readable only for vaults of one geography. */
export function sealBackup(key: StoredKey, geography: string): Buffer {
  const versions = key.versions.map(({ material, kind, ...rest }) => ({ ...rest, ...kind, secret: exported(material) }));
  const start = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", keyOf(geography), start);
  const sealed = Buffer.concat([cipher.update(JSON.stringify({ name: key.name, versions })), cipher.final()]);
  return Buffer.concat([start, cipher.getAuthTag(), sealed]);
}

/** @throws Answer for a backup of another geography or a changed one */
export function openBackup(backup: Buffer, geography: string): StoredKey {
  const fields = JsonFields.parse(opened(backup, geography));
  return {
    name: fields.text("name") ?? "",
    versions: fields.objects("versions").map(storedVersion),
    isManaged: false,
    rotationPolicy: undefined,
  };
}

function storedVersion(fields: JsonFields): StoredVersion {
  const created = fields.number("created") ?? 0;
  const kind = keyKind(fields.text("type") ?? "", fields.number("bits"), fields.text("curve"));
  const secret = fields.bytes("secret") ?? Buffer.alloc(0);
  return {
    id: fields.text("id") ?? "",
    kind,
    material: kind.type.startsWith("oct") ? secret : createPrivateKey({ key: secret, format: "der", type: "pkcs8" }),
    created,
    updated: fields.number("updated") ?? created,
    enabled: fields.flag("enabled") ?? true,
    nbf: fields.number("nbf"),
    exp: fields.number("exp"),
    operations: (fields.texts("operations") ?? []).filter(isKeyOperation),
    tags: fields.pairs("tags"),
    replicatedAtMs: 0,
  };
}

function opened(backup: Buffer, geography: string): string {
  try {
    const decipher = createDecipheriv("aes-256-gcm", keyOf(geography), backup.subarray(0, 12)).setAuthTag(backup.subarray(12, 28));
    return Buffer.concat([decipher.update(backup.subarray(28)), decipher.final()]).toString("utf8");
  } catch {
    throw badParameter("The backup is of another geography, or was changed.");
  }
}

function exported(material: KeyMaterial): string {
  return (Buffer.isBuffer(material) ? material : material.export({ format: "der", type: "pkcs8" })).toString("base64url");
}

/** A fixed key, which is no secret: every emulator of the same geography must read the backup. */
function keyOf(geography: string): Buffer {
  return createHash("sha256").update(`azure emulator backups of ${geography}`).digest();
}
