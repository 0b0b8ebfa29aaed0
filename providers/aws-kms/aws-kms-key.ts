import { fromBase64, toBase64 } from "../../src/core/base/base64.ts";
import { copyOf, equalPublicBytes, isBytes, type OwnedBytes, utf8, wipe } from "../../src/core/base/bytes.ts";
import { systemClock } from "../../src/core/base/clock.ts";
import { invalidArgument } from "../../src/core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../src/core/base/options.ts";
import { SingleFlights } from "../../src/core/base/single-flight.ts";
import { WRAP_ALGORITHMS } from "../../src/core/contracts/algorithms.ts";
import type { KeyProvider, Recipient, WrapOptions } from "../../src/core/contracts/key-provider.ts";
import { DATA_KEY_BYTES } from "../../src/core/contracts/suite.ts";
import { fieldOf, textFieldOf } from "../http/fields.ts";
import { tryRoundTrip } from "../http/trial.ts";
import { parseKeyArn } from "./arn.ts";
import { AwsConnection } from "./connection.ts";
import { encryptionContext } from "./encryption-context.ts";
import { type AwsOperation, brokenAnswer, rejected } from "./failures.ts";
import { type AwsConnectionOptions, CONNECTION_OPTIONS } from "./options.ts";
import { type AwsReplica, checkedReplicas, Regions } from "./regions.ts";

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
  /** The same multi-region key in other regions, by ARN. What it wrapped there is opened too, by calls to the region of `keyArn`. */
  readonly replicas?: readonly (string | AwsReplica)[];
  /**
   * Whether the replicas are called, in their order, while the region of `keyArn` does not answer. A new data key is then wrapped there,
   * and its key id is the ARN of the replica. Default false: calls go to the region of `keyArn` alone.
   */
  readonly failover?: boolean;
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
  const { keyArn, keyType = "symmetric", trackMaterial = false, replicas = [], failover = false, ...connectionOptions } = options;
  const key = parseKeyArn("keyArn", keyArn);
  if (keyType !== "symmetric" && keyType !== "rsa") throw invalidArgument('keyType is "symmetric" or "rsa"');
  if (typeof trackMaterial !== "boolean" || typeof failover !== "boolean")
    throw invalidArgument("trackMaterial and failover are true or false");
  if (trackMaterial && keyType === "rsa") throw invalidArgument("an RSA key has one key material: trackMaterial is for symmetric keys");
  const others = checkedReplicas(key, replicas);
  const ownArns: ReadonlySet<string> = new Set([key, ...others.map(([other]) => other)].map(({ text }) => text));
  const nearest = new AwsConnection(key, connectionOptions);
  const { endpoint: _, ...elsewhere } = connectionOptions;
  const away = others.map(([other, endpoint]) => new AwsConnection(other, { ...elsewhere, ...(endpoint !== undefined && { endpoint }) }));
  const regions = new Regions(nearest, failover ? away : [], options.clock ?? systemClock);
  const { alg, algorithm } = KINDS[keyType];
  const proven = new Set<AwsConnection>();
  const proofs = new SingleFlights<string, void>();

  const call = async (at: AwsConnection, operation: AwsOperation, fields: object, signal: AbortSignal | undefined): Promise<object> => {
    const answer = await at.call(operation, { ...fields, EncryptionAlgorithm: algorithm }, signal);
    if (textFieldOf(answer, "KeyId") !== at.arn) throw brokenAnswer(operation, at.arn, "names another key");
    return answer;
  };
  const encrypt = async (
    at: AwsConnection,
    dek: Uint8Array,
    context: BoundContext,
    signal: AbortSignal | undefined,
  ): Promise<OwnedBytes> => {
    const answer = await call(at, "Encrypt", { Plaintext: toBase64(dek), ...context }, signal);
    const wrapped = fromBase64(textFieldOf(answer, "CiphertextBlob") ?? "");
    if (wrapped === undefined || wrapped.length === 0 || wrapped.length > MAX_WRAPPED_BYTES)
      throw brokenAnswer("Encrypt", at.arn, "holds no ciphertext");
    return wrapped;
  };
  const decrypt = async (
    at: AwsConnection,
    wrapped: Uint8Array,
    context: BoundContext,
    signal: AbortSignal | undefined,
  ): Promise<Opened> => {
    const answer = await call(at, "Decrypt", { CiphertextBlob: toBase64(wrapped), ...context }, signal);
    const dek = fromBase64(textFieldOf(answer, "Plaintext") ?? "");
    if (dek === undefined || dek.length === 0) throw brokenAnswer("Decrypt", at.arn, "holds no plaintext");
    return { dek, materialId: textFieldOf(answer, "KeyMaterialId"), arn: at.arn };
  };
  const bound = (wrapOptions: WrapOptions, boundArn: string): BoundContext =>
    keyType === "rsa" ? {} : { EncryptionContext: encryptionContext(wrapOptions, boundArn) };

  /** With the key context of the caller: a policy may allow no other. */
  const prove = async (at: AwsConnection, keyContext: Readonly<Record<string, string>>): Promise<void> => {
    const trial = (text: string): BoundContext => bound({ keyContext, wrapAad: () => utf8(text) }, at.arn);
    const contexts = { right: trial("envelock/trial"), other: trial("envelock/other") };
    await tryRoundTrip({
      bindsContext: keyType === "symmetric",
      hints: {
        roundTrip: "nothing was encrypted under it; look at the policies of the key",
        context: "this is no AWS KMS: name its own endpoint",
      },
      wrap: (dek) => encrypt(at, dek, contexts.right, undefined),
      unwrap: async (wrapped, which) => (await decrypt(at, wrapped, contexts[which], undefined)).dek,
    });
    proven.add(at);
  };

  const wrapAt = async (at: AwsConnection, dek: Uint8Array, wrapOptions: WrapOptions): Promise<Recipient> => {
    const { keyContext, signal } = wrapOptions;
    const context = bound(wrapOptions, at.arn);
    if (!proven.has(at)) await proofs.run(JSON.stringify([at.arn, keyContext]), () => prove(at, keyContext), { signal });
    const wrapped = await encrypt(at, dek, context, signal);
    const recipient = { provider: NAME, keyId: at.arn, alg, wrapped };
    if (!trackMaterial) return recipient;
    const opened = await decrypt(at, wrapped, context, signal); // tells the key material that really wrapped
    const isSame = equalPublicBytes(opened.dek, dek); // both are the caller's secret: there is nobody to time it for
    wipe(opened.dek);
    if (!isSame) throw brokenAnswer("Decrypt", at.arn, "is not what was encrypted");
    return { ...recipient, keyId: `${at.arn}#${requiredMaterial("Decrypt", opened)}` };
  };

  return {
    name: NAME,
    owns: (keyId) => partsOf(keyId, ownArns) !== undefined,
    async wrap(dek, wrapOptions) {
      nearest.requireOpen(wrapOptions.signal);
      if (!isBytes(dek) || dek.length !== DATA_KEY_BYTES) throw invalidArgument(`a data key has ${DATA_KEY_BYTES} bytes`);
      const secret = copyOf(dek); // the caller may wipe its own once it stops waiting
      try {
        return await regions.run(wrapOptions.signal, (at) => wrapAt(at, secret, wrapOptions));
      } finally {
        wipe(secret);
      }
    },
    async unwrap(recipient: Recipient, unwrapOptions) {
      const { signal } = unwrapOptions;
      nearest.requireOpen(signal);
      const parts = partsOf(recipient.keyId, ownArns);
      const { length } = recipient.wrapped;
      if (recipient.provider !== NAME || recipient.alg !== alg || parts === undefined || length === 0 || length > MAX_WRAPPED_BYTES)
        throw rejected();
      const ciphertext = copyOf(recipient.wrapped); // it must not change before the last region was asked
      const context = bound(unwrapOptions, parts.arn);
      const opened = await regions.run(signal, (at) => decrypt(at, ciphertext, context, signal));
      const { dek, materialId } = opened;
      if (dek.length === DATA_KEY_BYTES && (parts.materialId === undefined || parts.materialId === materialId)) return dek;
      wipe(dek);
      if (parts.materialId !== undefined) requiredMaterial("Decrypt", opened);
      throw rejected();
    },
    async current({ signal } = {}) {
      const metadata = fieldOf(await nearest.call("DescribeKey", {}, signal), "KeyMetadata");
      if (textFieldOf(metadata, "Arn") !== nearest.arn) throw brokenAnswer("DescribeKey", nearest.arn, "names another key");
      if (!trackMaterial) return nearest.arn;
      const materialId = textFieldOf(metadata, "CurrentKeyMaterialId");
      return `${nearest.arn}#${requiredMaterial("DescribeKey", { materialId, arn: nearest.arn })}`;
    },
    async close() {
      for (const connection of [nearest, ...away]) connection.close();
    },
  };
}

interface BoundContext {
  readonly EncryptionContext?: Readonly<Record<string, string>>;
}

interface NamedMaterial {
  readonly materialId: string | undefined;
  /** The key that answered. */
  readonly arn: string;
}

interface Opened extends NamedMaterial {
  readonly dek: OwnedBytes;
}

interface KeyIdParts {
  readonly arn: string;
  readonly materialId: string | undefined;
}

function requiredMaterial(operation: AwsOperation, { materialId, arn }: NamedMaterial): string {
  if (materialId !== undefined && MATERIAL_ID.test(materialId)) return materialId;
  throw brokenAnswer(operation, arn, "names no key material");
}

/** What a key id names, if it is one of these keys: `arn` or `arn#material`. */
function partsOf(keyId: string, ownArns: ReadonlySet<string>): KeyIdParts | undefined {
  const at = keyId.indexOf("#");
  const arn = at === -1 ? keyId : keyId.slice(0, at);
  const materialId = at === -1 ? undefined : keyId.slice(at + 1);
  return ownArns.has(arn) && (materialId === undefined || MATERIAL_ID.test(materialId)) ? { arn, materialId } : undefined;
}

/** The names of {@link AwsKmsKeyOptions}, for the doctor too. */
export const KMS_KEY_OPTIONS: OptionNames<AwsKmsKeyOptions> = {
  ...CONNECTION_OPTIONS,
  keyArn: true,
  keyType: true,
  trackMaterial: true,
  replicas: true,
  failover: true,
};
const NAME = "aws-kms";
const KINDS = {
  symmetric: { alg: WRAP_ALGORITHMS.opaqueWithContext, algorithm: "SYMMETRIC_DEFAULT" },
  rsa: { alg: WRAP_ALGORITHMS.rsaOaep256, algorithm: "RSAES_OAEP_SHA_256" }, // what it gives is the bare ciphertext of RFC 8017
} as const;
const MATERIAL_ID = /^[0-9a-f]{64}$/;
const MAX_WRAPPED_BYTES = 4096;
