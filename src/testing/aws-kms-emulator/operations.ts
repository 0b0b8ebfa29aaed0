import { randomBytes } from "node:crypto";
import type { Clock } from "../../core/base/clock.ts";
import { AwsAnswer, accessDenied, invalidCiphertext, validation } from "./answer.ts";
import type { KeyStore, Place } from "./key-store.ts";
import { isKmsKeySpec, type KmsKey } from "./kms-key.ts";
import { accountOf, type Principal, requireAllowed } from "./principals.ts";
import type { RequestFields } from "./request-fields.ts";
import type { Signed } from "./signatures.ts";

/** One request with a verified signature. */
export class Call {
  readonly fields: RequestFields;
  readonly keys: KeyStore;
  readonly clock: Clock;
  readonly place: Place;
  readonly #principal: Principal;
  readonly #action: string;

  constructor(operation: string, fields: RequestFields, { principal, region }: Signed, keys: KeyStore, clock: Clock) {
    this.fields = fields;
    this.keys = keys;
    this.clock = clock;
    this.place = { region, account: accountOf(principal.arn) };
    this.#principal = principal;
    this.#action = `kms:${operation}`;
  }

  /** Returns the key that the request names, after checking the caller's rights. */
  key(name = "KeyId", action: string = this.#action, contextName = "EncryptionContext"): KmsKey {
    return this.allowed(this.keys.find(this.fields.required(name), this.place), action, contextName);
  }

  /** @throws `AccessDeniedException` */
  allowed(key: KmsKey, action: string = this.#action, contextName = "EncryptionContext"): KmsKey {
    const isCrypto = CRYPTO_ACTIONS.has(action);
    requireAllowed(this.#principal, action, isCrypto ? (this.fields.map(contextName) ?? {}) : undefined);
    if (!key.isAllowed(this.#principal.arn, action)) throw accessDenied(this.#principal.arn, action);
    return key;
  }

  /** Whether the request asks only whether the operation would succeed. */
  get isDryRun(): boolean {
    return DRY_RUN_ACTIONS.has(this.#action) && this.fields.flag("DryRun");
  }

  allowedAnywhere(): void {
    requireAllowed(this.#principal, this.#action, undefined);
  }
}

/** Runs an operation. @throws what it refuses; `DryRunOperationException` for a dry run of what would succeed */
export function run(operation: string, call: Call): object | undefined {
  const answer = OPERATIONS[operation]?.(call);
  if (call.isDryRun)
    throw new AwsAnswer("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.", 412);
  return answer;
}

/** The answer of each operation; undefined for an empty body. */
export const OPERATIONS: Readonly<Record<string, (call: Call) => object | undefined>> = {
  Encrypt: (call) => {
    const key = usable(call.key());
    const plaintext = call.fields.bytes("Plaintext", 4096);
    const algorithm = algorithmOf(key, call.fields.text("EncryptionAlgorithm"));
    return { KeyId: key.arn, CiphertextBlob: base64(key.encrypt(plaintext, contextOf(key, call.fields))), EncryptionAlgorithm: algorithm };
  },
  Decrypt: (call) => {
    if (call.isDryRun && call.fields.texts("DryRunModifiers").includes("IGNORE_CIPHERTEXT")) {
      const key = usable(call.key());
      return { KeyId: key.arn, EncryptionAlgorithm: algorithmOf(key, call.fields.text("EncryptionAlgorithm")) };
    }
    const { key, plaintext, materialId, algorithm } = opened(call, "KeyId", "EncryptionContext", "EncryptionAlgorithm");
    return { KeyId: key.arn, Plaintext: base64(plaintext), EncryptionAlgorithm: algorithm, KeyMaterialId: materialId };
  },
  ReEncrypt: (call) => {
    const names = ["SourceKeyId", "SourceEncryptionContext", "SourceEncryptionAlgorithm"] as const;
    const { key: source, plaintext, materialId, algorithm } = opened(call, ...names, "kms:ReEncryptFrom");
    const key = usable(call.key("DestinationKeyId", "kms:ReEncryptTo", "DestinationEncryptionContext"));
    const context = contextOf(key, call.fields, "DestinationEncryptionContext");
    return {
      KeyId: key.arn,
      SourceKeyId: source.arn,
      CiphertextBlob: base64(key.encrypt(plaintext, context)),
      SourceEncryptionAlgorithm: algorithm,
      DestinationEncryptionAlgorithm: algorithmOf(key, call.fields.text("DestinationEncryptionAlgorithm")),
      SourceKeyMaterialId: materialId,
      DestinationKeyMaterialId: key.currentMaterialId,
    };
  },
  GenerateDataKey: (call) => dataKey(call, true),
  GenerateDataKeyWithoutPlaintext: (call) => dataKey(call, false),
  GenerateRandom: (call) => {
    call.allowedAnywhere();
    const count = call.fields.number("NumberOfBytes") ?? 0;
    if (!(Number.isInteger(count) && count >= 1 && count <= 1024)) throw validation("NumberOfBytes is 1 to 1024");
    return { Plaintext: base64(randomBytes(count)) };
  },
  DescribeKey: (call) => ({ KeyMetadata: metadataOf(call.key()) }),
  GetPublicKey: (call) => {
    const key = usable(call.key());
    if (key.publicKey === undefined) throw new AwsAnswer("UnsupportedOperationException", `${key.arn} is symmetric.`);
    return {
      KeyId: key.arn,
      PublicKey: base64(key.publicKey),
      KeySpec: key.spec,
      KeyUsage: USAGE,
      EncryptionAlgorithms: algorithmsOf(key),
    };
  },
  CreateKey: (call) => {
    call.allowedAnywhere();
    const spec = call.fields.text("KeySpec") ?? call.fields.text("CustomerMasterKeySpec") ?? "SYMMETRIC_DEFAULT";
    if (!isKmsKeySpec(spec)) throw new AwsAnswer("UnsupportedOperationException", `KeySpec ${spec} is not supported`);
    return { KeyMetadata: metadataOf(call.keys.create({ spec, ...call.place, multiRegion: call.fields.flag("MultiRegion") })) };
  },
  ListKeys: (call) => {
    call.allowedAnywhere();
    return { Keys: call.keys.keysAt(call.place).map(({ id, arn }) => ({ KeyId: id, KeyArn: arn })), Truncated: false };
  },
  CreateAlias: (call) => {
    const name = call.fields.required("AliasName");
    if (!/^alias\/[\w/-]+$/.test(name)) throw new AwsAnswer("InvalidAliasNameException", "Alias must start with the prefix alias/");
    if (call.keys.hasAlias(name, call.place))
      throw new AwsAnswer("AlreadyExistsException", `An alias with the name ${name} already exists`);
    call.keys.setAlias(name, call.key("TargetKeyId"));
    return undefined;
  },
  UpdateAlias: (call) => {
    const name = call.fields.required("AliasName");
    if (!call.keys.hasAlias(name, call.place)) throw new AwsAnswer("NotFoundException", `Alias ${name} is not found.`);
    call.keys.setAlias(name, call.key("TargetKeyId"));
    return undefined;
  },
  DeleteAlias: (call) => {
    call.allowedAnywhere();
    const name = call.fields.required("AliasName");
    if (!call.keys.deleteAlias(name, call.place)) throw new AwsAnswer("NotFoundException", `Alias ${name} is not found.`);
    return undefined;
  },
  ListAliases: (call) => {
    call.allowedAnywhere();
    const aliases = call.keys.aliasesAt(call.place);
    return {
      Aliases: aliases.map(([arn, key]) => ({ AliasName: arn.split(":")[5], AliasArn: arn, TargetKeyId: key.split("/")[1] })),
      Truncated: false,
    };
  },
  /** Dry runs alone: the emulator keeps no grants. */
  CreateGrant: (call) => {
    call.key();
    call.fields.required("GranteePrincipal");
    if (!call.isDryRun) throw new AwsAnswer("UnsupportedOperationException", "The emulator keeps no grants.");
    return undefined;
  },
  GetKeyPolicy: (call) => ({ Policy: call.key().policyDocument, PolicyName: "default" }),
  EnableKey: (call) => settled(notBeingDeleted(call.key()), "Enabled"),
  DisableKey: (call) => settled(notBeingDeleted(call.key()), "Disabled"),
  ScheduleKeyDeletion: (call) => {
    const key = notBeingDeleted(call.key());
    const days = call.fields.number("PendingWindowInDays") ?? 30;
    if (!(Number.isInteger(days) && days >= 7 && days <= 30)) throw validation("PendingWindowInDays is 7 to 30");
    key.state = "PendingDeletion";
    key.deletionAtMs = call.clock.unixMs() + days * DAY_MS;
    return { KeyId: key.arn, DeletionDate: key.deletionAtMs / 1000, KeyState: key.state, PendingWindowInDays: days };
  },
  CancelKeyDeletion: (call) => {
    const key = call.key();
    if (key.state !== "PendingDeletion") throw new AwsAnswer("KMSInvalidStateException", `${key.arn} is not pending deletion.`);
    key.state = "Disabled"; // as the service does
    key.deletionAtMs = undefined;
    return { KeyId: key.arn };
  },
  EnableKeyRotation: (call) => {
    symmetric(usable(call.key())).isRotated = true;
    return undefined;
  },
  DisableKeyRotation: (call) => {
    symmetric(usable(call.key())).isRotated = false;
    return undefined;
  },
  GetKeyRotationStatus: (call) => {
    const key = symmetric(call.key());
    return { KeyId: key.arn, KeyRotationEnabled: key.isRotated, ...(key.isRotated && { RotationPeriodInDays: 365 }) };
  },
  RotateKeyOnDemand: (call) => {
    const key = symmetric(usable(call.key()));
    key.rotate(call.clock.unixMs());
    return { KeyId: key.arn };
  },
  ListKeyRotations: (call) => {
    const key = symmetric(call.key());
    const rotations = key.rotations.map(({ id, atMs }) => ({
      KeyId: key.arn,
      KeyMaterialId: id,
      RotationDate: atMs / 1000,
      RotationType: "ON_DEMAND",
    }));
    return { Rotations: rotations, Truncated: false };
  },
};

interface Opened {
  readonly key: KmsKey;
  readonly plaintext: Buffer;
  readonly materialId: string | undefined;
  readonly algorithm: string;
}

function opened(call: Call, keyName: string, contextName: string, algorithmName: string, action = "kms:Decrypt"): Opened {
  const blob = call.fields.bytes("CiphertextBlob", 6144);
  const algorithm = call.fields.text(algorithmName) ?? "SYMMETRIC_DEFAULT";
  const named = call.fields.text(keyName) === undefined ? undefined : call.key(keyName, action, contextName);
  if (named === undefined && algorithm !== "SYMMETRIC_DEFAULT") throw validation(`${keyName} is needed for an asymmetric key`);
  const writer = algorithm === "SYMMETRIC_DEFAULT" ? call.keys.keyOf(blob, call.place) : named;
  const key = named ?? (writer === undefined ? undefined : call.allowed(writer, action, contextName));
  if (key === undefined) throw invalidCiphertext();
  usable(key);
  algorithmOf(key, algorithm);
  if (writer === undefined) throw invalidCiphertext();
  if (writer.arn !== key.arn)
    throw new AwsAnswer("IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.");
  return { key, algorithm, ...key.decrypt(blob, contextOf(key, call.fields, contextName)) };
}

function dataKey(call: Call, isShown: boolean): object {
  const key = symmetric(usable(call.key()), "InvalidKeyUsageException");
  const length = call.fields.number("NumberOfBytes") ?? (call.fields.text("KeySpec") === "AES_128" ? 16 : 32);
  const plaintext = randomBytes(length);
  const blob = base64(key.encrypt(plaintext, contextOf(key, call.fields)));
  return { KeyId: key.arn, CiphertextBlob: blob, KeyMaterialId: key.currentMaterialId, ...(isShown && { Plaintext: base64(plaintext) }) };
}

function contextOf(key: KmsKey, fields: RequestFields, name = "EncryptionContext"): Readonly<Record<string, string>> {
  const context = fields.map(name) ?? {};
  if (!key.isSymmetric && Object.keys(context).length > 0) throw validation("EncryptionContext is not supported with asymmetric keys");
  if (JSON.stringify(context).length > MAX_CONTEXT_CHARACTERS) throw validation("EncryptionContext is too long");
  return context;
}

function algorithmOf(key: KmsKey, algorithm = "SYMMETRIC_DEFAULT"): string {
  if (algorithmsOf(key).includes(algorithm)) return algorithm;
  throw new AwsAnswer("InvalidKeyUsageException", `Algorithm ${algorithm} is incompatible with key spec ${key.spec}.`);
}

function algorithmsOf(key: KmsKey): readonly string[] {
  return [key.isSymmetric ? "SYMMETRIC_DEFAULT" : "RSAES_OAEP_SHA_256"];
}

function metadataOf(key: KmsKey): object {
  return {
    AWSAccountId: key.account,
    KeyId: key.id,
    Arn: key.arn,
    CreationDate: key.createdAtMs / 1000,
    Enabled: key.state === "Enabled",
    Description: "",
    KeyUsage: USAGE,
    KeyState: key.state,
    Origin: key.validToMs === undefined ? "AWS_KMS" : "EXTERNAL",
    ...(key.validToMs !== undefined && { ExpirationModel: "KEY_MATERIAL_EXPIRES", ValidTo: key.validToMs / 1000 }),
    KeyManager: "CUSTOMER",
    CustomerMasterKeySpec: key.spec,
    KeySpec: key.spec,
    EncryptionAlgorithms: algorithmsOf(key),
    MultiRegion: key.isMultiRegion,
    CurrentKeyMaterialId: key.currentMaterialId,
    ...(key.deletionAtMs !== undefined && { DeletionDate: key.deletionAtMs / 1000 }),
  };
}

function usable(key: KmsKey): KmsKey {
  key.requireUsable();
  return key;
}

function symmetric(key: KmsKey, type = "UnsupportedOperationException"): KmsKey {
  if (key.isSymmetric) return key;
  throw new AwsAnswer(type, `${key.arn} is asymmetric.`);
}

function notBeingDeleted(key: KmsKey): KmsKey {
  if (key.state !== "PendingDeletion") return key;
  throw new AwsAnswer("KMSInvalidStateException", `${key.arn} is pending deletion.`);
}

function settled(key: KmsKey, state: "Enabled" | "Disabled"): undefined {
  key.state = state;
}

function base64(bytes: Buffer): string {
  return bytes.toString("base64");
}

const USAGE = "ENCRYPT_DECRYPT";
/** A limit of this emulator: neither the service model nor the documentation of the service states one. */
const MAX_CONTEXT_CHARACTERS = 8192;
const CRYPTO_ACTIONS: ReadonlySet<string> = new Set([
  "kms:Encrypt",
  "kms:Decrypt",
  "kms:GenerateDataKey",
  "kms:GenerateDataKeyWithoutPlaintext",
  "kms:ReEncryptFrom",
  "kms:ReEncryptTo",
]);
/** What takes the option `DryRun`. None of these changes anything here. */
const DRY_RUN_ACTIONS: ReadonlySet<string> = new Set(
  ["Encrypt", "Decrypt", "ReEncrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "CreateGrant"].map((name) => `kms:${name}`),
);
const DAY_MS = 86_400_000;
