import { copyOf, equalPublicBytes, isBytes, type OwnedBytes, utf8, wipe } from "../../src/core/base/bytes.ts";
import { invalidArgument } from "../../src/core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../src/core/base/options.ts";
import { SingleFlights } from "../../src/core/base/single-flight.ts";
import { WRAP_ALGORITHMS } from "../../src/core/contracts/algorithms.ts";
import type { KeyProvider, Recipient, WrapOptions } from "../../src/core/contracts/key-provider.ts";
import { DATA_KEY_BYTES } from "../../src/core/contracts/suite.ts";
import { fromBase64, toBase64 } from "../http/base64.ts";
import { fieldOf, textFieldOf } from "../http/fields.ts";
import { tryRoundTrip } from "../http/trial.ts";
import { type KeyArn, parseKeyArn } from "./arn.ts";
import { AwsConnection } from "./connection.ts";
import { encryptionContext } from "./encryption-context.ts";
import { type AwsOperation, brokenAnswer, rejected } from "./failures.ts";
import { type AwsConnectionOptions, CONNECTION_OPTIONS } from "./options.ts";

export interface AwsKmsKeyOptions extends AwsConnectionOptions {
  /** The ARN of the key, not of an alias. Region, host and account come from it. */
  readonly keyArn: string;
  /**
   * What kind of key it is: `symmetric`, which authenticates the key context, or `rsa` with the usage `ENCRYPT_DECRYPT`. Default
   * `symmetric`.
   */
  readonly keyType?: "symmetric" | "rsa";
  /**
   * Whether key ids name the key material too, so that `needsRewrap` sees a rotation of the key. A wrap then costs a second call, which
   * reads the wrapped key back and needs the right to decrypt. For symmetric keys. Default false.
   */
  readonly trackMaterial?: boolean;
  /** The ARNs of the same multi-region key in other regions, whose data keys are opened too. Calls go to the region of `keyArn`. */
  readonly replicas?: readonly string[];
}

/**
 * A KEK in AWS KMS. Needs `kms:Encrypt` and `kms:Decrypt` on the key, and `kms:DescribeKey` for `current`.
 *
 * A symmetric key gets the key context as its encryption context, in clear, and a digest of everything that is bound. Before the first
 * data key goes out the provider has random bytes unwrapped, and tries another context; both are left out where the credentials may not
 * decrypt.
 *
 * @throws `invalid-argument`
 * @see docs/providers/aws-kms.md
 * @example
 * ```ts
 * import { Keyring } from "envelock";
 * import { awsKmsKey, instanceCredentials } from "envelock/providers/aws-kms";
 *
 * const keyArn = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
 * const key = awsKmsKey({ keyArn, credentials: instanceCredentials() });
 * const keyring = new Keyring({ wrapWith: [key], context: { tenant: "acme" } });
 * ```
 */
export function awsKmsKey(options: AwsKmsKeyOptions): Required<KeyProvider> {
  refuseUnknown(options, KMS_KEY_OPTIONS, "awsKmsKey");
  const { keyArn, keyType = "symmetric", trackMaterial = false, replicas = [], ...connectionOptions } = options;
  const key = parseKeyArn("keyArn", keyArn);
  const arn = key.text;
  if (keyType !== "symmetric" && keyType !== "rsa") throw invalidArgument('keyType is "symmetric" or "rsa"');
  if (typeof trackMaterial !== "boolean") throw invalidArgument("trackMaterial is true or false");
  if (trackMaterial && keyType === "rsa") throw invalidArgument("an RSA key has one key material: trackMaterial is for symmetric keys");
  const ownArns: ReadonlySet<string> = new Set([arn, ...checkedReplicas(key, replicas)]);
  const connection = new AwsConnection(key, connectionOptions);
  const { alg, algorithm } = KINDS[keyType];
  let isProven = false;
  const proofs = new SingleFlights<string, void>();

  const call = async (operation: AwsOperation, fields: object, signal: AbortSignal | undefined): Promise<object> => {
    const answer = await connection.call(operation, { ...fields, EncryptionAlgorithm: algorithm }, signal);
    if (textFieldOf(answer, "KeyId") !== arn) throw brokenAnswer(operation, arn, "names another key");
    return answer;
  };
  const encrypt = async (dek: Uint8Array, context: BoundContext, signal: AbortSignal | undefined): Promise<OwnedBytes> => {
    const answer = await call("Encrypt", { Plaintext: toBase64(dek), ...context }, signal);
    const wrapped = fromBase64(textFieldOf(answer, "CiphertextBlob") ?? "");
    if (wrapped === undefined || wrapped.length === 0 || wrapped.length > MAX_WRAPPED_BYTES)
      throw brokenAnswer("Encrypt", arn, "holds no ciphertext");
    return wrapped;
  };
  const decrypt = async (wrapped: Uint8Array, context: BoundContext, signal: AbortSignal | undefined): Promise<Opened> => {
    const answer = await call("Decrypt", { CiphertextBlob: toBase64(wrapped), ...context }, signal);
    const dek = fromBase64(textFieldOf(answer, "Plaintext") ?? "");
    if (dek === undefined || dek.length === 0) throw brokenAnswer("Decrypt", arn, "holds no plaintext");
    return { dek, materialId: textFieldOf(answer, "KeyMaterialId") };
  };
  const bound = (wrapOptions: WrapOptions, boundArn: string): BoundContext =>
    keyType === "rsa" ? {} : { EncryptionContext: encryptionContext(wrapOptions, boundArn) };

  /** With the key context of the caller: a policy may allow no other. */
  const prove = async (keyContext: Readonly<Record<string, string>>): Promise<void> => {
    const trial = (text: string): BoundContext => bound({ keyContext, wrapAad: () => utf8(text) }, arn);
    const contexts = { right: trial("envelock/trial"), other: trial("envelock/other") };
    await tryRoundTrip({
      bindsContext: keyType === "symmetric",
      hints: {
        roundTrip: "nothing was encrypted under it; look at the policies of the key",
        context: "this is no AWS KMS: name its own endpoint",
      },
      wrap: (dek) => encrypt(dek, contexts.right, undefined),
      unwrap: async (wrapped, which) => (await decrypt(wrapped, contexts[which], undefined)).dek,
    });
    isProven = true;
  };

  /** The key id of what was wrapped: read back where it must name the key material that really wrapped. */
  const keyIdOf = async (wrapped: Uint8Array, dek: Uint8Array, context: BoundContext, signal: AbortSignal | undefined): Promise<string> => {
    if (!trackMaterial) return arn;
    const opened = await decrypt(wrapped, context, signal);
    const isSame = equalPublicBytes(opened.dek, dek); // both are the caller's secret: there is nobody to time it for
    wipe(opened.dek);
    if (!isSame) throw brokenAnswer("Decrypt", arn, "is not what was encrypted");
    return `${arn}#${requiredMaterial("Decrypt", opened.materialId)}`;
  };

  const requiredMaterial = (operation: AwsOperation, materialId: string | undefined): string => {
    if (materialId !== undefined && MATERIAL_ID.test(materialId)) return materialId;
    throw brokenAnswer(operation, arn, "names no key material");
  };

  return {
    name: NAME,
    owns: (keyId) => partsOf(keyId, ownArns) !== undefined,
    async wrap(dek, wrapOptions) {
      connection.requireOpen();
      const { keyContext, signal } = wrapOptions;
      signal?.throwIfAborted();
      if (!isBytes(dek) || dek.length !== DATA_KEY_BYTES) throw invalidArgument(`a data key has ${DATA_KEY_BYTES} bytes`);
      const secret = copyOf(dek); // the caller may wipe its own once it stops waiting
      try {
        const context = bound(wrapOptions, arn);
        if (!isProven) await proofs.run(JSON.stringify(keyContext), () => prove(keyContext), { signal });
        const wrapped = await encrypt(secret, context, signal);
        return { provider: NAME, keyId: await keyIdOf(wrapped, secret, context, signal), alg, wrapped };
      } finally {
        wipe(secret);
      }
    },
    async unwrap(recipient: Recipient, unwrapOptions) {
      connection.requireOpen();
      const { signal } = unwrapOptions;
      signal?.throwIfAborted();
      const parts = partsOf(recipient.keyId, ownArns);
      if (recipient.provider !== NAME || recipient.alg !== alg || parts === undefined) throw rejected();
      if (recipient.wrapped.length === 0 || recipient.wrapped.length > MAX_WRAPPED_BYTES) throw rejected();
      const { dek, materialId } = await decrypt(recipient.wrapped, bound(unwrapOptions, parts.arn), signal);
      if (dek.length === DATA_KEY_BYTES && (parts.materialId === undefined || parts.materialId === materialId)) return dek;
      wipe(dek);
      throw parts.materialId !== undefined && materialId === undefined ? brokenAnswer("Decrypt", arn, "names no key material") : rejected();
    },
    async current({ signal } = {}) {
      const metadata = fieldOf(await connection.call("DescribeKey", {}, signal), "KeyMetadata");
      if (textFieldOf(metadata, "Arn") !== arn) throw brokenAnswer("DescribeKey", arn, "names another key");
      return trackMaterial ? `${arn}#${requiredMaterial("DescribeKey", textFieldOf(metadata, "CurrentKeyMaterialId"))}` : arn;
    },
    async close() {
      connection.close();
    },
  };
}

interface BoundContext {
  readonly EncryptionContext?: Readonly<Record<string, string>>;
}

interface Opened {
  readonly dek: OwnedBytes;
  readonly materialId: string | undefined;
}

interface KeyIdParts {
  readonly arn: string;
  readonly materialId: string | undefined;
}

/** What a key id names, if it is one of these keys: `arn` or `arn#material`. */
function partsOf(keyId: string, ownArns: ReadonlySet<string>): KeyIdParts | undefined {
  const at = keyId.indexOf("#");
  const arn = at === -1 ? keyId : keyId.slice(0, at);
  const materialId = at === -1 ? undefined : keyId.slice(at + 1);
  return ownArns.has(arn) && (materialId === undefined || MATERIAL_ID.test(materialId)) ? { arn, materialId } : undefined;
}

function checkedReplicas(key: KeyArn, replicas: readonly string[]): readonly string[] {
  if (!Array.isArray(replicas)) throw invalidArgument("replicas is a list of ARNs");
  const parsed = replicas.map((replica) => parseKeyArn("a replica", replica));
  for (const { partition, account, id } of parsed) {
    if (!id.startsWith("mrk-") || id !== key.id || account !== key.account || partition !== key.partition)
      throw invalidArgument("a replica has partition, account and id of keyArn, which begins with mrk-, and another region");
  }
  return parsed.map(({ text }) => text);
}

const KMS_KEY_OPTIONS: OptionNames<AwsKmsKeyOptions> = {
  ...CONNECTION_OPTIONS,
  keyArn: true,
  keyType: true,
  trackMaterial: true,
  replicas: true,
};
const NAME = "aws-kms";
const KINDS = {
  symmetric: { alg: WRAP_ALGORITHMS.opaqueWithContext, algorithm: "SYMMETRIC_DEFAULT" },
  rsa: { alg: WRAP_ALGORITHMS.rsaOaep256, algorithm: "RSAES_OAEP_SHA_256" }, // what it gives is the bare ciphertext of RFC 8017
} as const;
const MATERIAL_ID = /^[0-9a-f]{64}$/;
const MAX_WRAPPED_BYTES = 4096;
