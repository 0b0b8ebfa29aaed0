import { fromBase64, toBase64 } from "../../src/core/base/base64.ts";
import { isBytes, type OwnedBytes } from "../../src/core/base/bytes.ts";
import { invalidArgument } from "../../src/core/base/errors.ts";
import { refuseUnknown } from "../../src/core/base/options.ts";
import { textFieldOf } from "../http/fields.ts";
import { parseKeyArn } from "./arn.ts";
import { AwsConnection } from "./connection.ts";
import { brokenAnswer, rejected } from "./failures.ts";
import { type AwsConnectionOptions, CONNECTION_OPTIONS } from "./options.ts";

export interface AwsKmsDecrypterOptions extends AwsConnectionOptions {
  /** The ARN of the symmetric key, not of an alias. Nothing else is asked, whatever a ciphertext names. */
  readonly keyArn: string;
}

/** Decrypts with one key in AWS KMS, under an encryption context as another format wrote it. */
export type AwsKmsDecrypter = (
  ciphertext: Uint8Array,
  encryptionContext: Readonly<Record<string, string>>,
  options?: { readonly signal?: AbortSignal },
) => Promise<OwnedBytes>;

/**
 * Makes the function that readers of other formats take, such as `kmsDecrypt` of `envelock/s3-encryption-client`. Envelopes need
 * `awsKmsKey`. It makes one attempt; the code of an error says whether another may help.
 *
 * @returns a function that gives the plaintext in its own ArrayBuffer, which the caller wipes
 * @throws `invalid-argument`; the function throws `unwrap-rejected` and the codes of `KeyProvider.wrap`
 * @example
 * ```ts
 * import { awsKmsDecrypter, instanceCredentials } from "envelock/providers/aws-kms";
 * import { s3EncryptionClient } from "envelock/s3-encryption-client";
 *
 * const keyArn = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
 * const reader = s3EncryptionClient({ keys: [{ kmsDecrypt: awsKmsDecrypter({ keyArn, credentials: instanceCredentials() }) }] });
 * ```
 */
export function awsKmsDecrypter(options: AwsKmsDecrypterOptions): AwsKmsDecrypter {
  refuseUnknown(options, { ...CONNECTION_OPTIONS, keyArn: true }, "awsKmsDecrypter");
  const { keyArn, ...connectionOptions } = options;
  const key = parseKeyArn("keyArn", keyArn);
  const connection = new AwsConnection(key, connectionOptions);
  return async (ciphertext, encryptionContext, { signal } = {}) => {
    if (!isBytes(ciphertext)) throw invalidArgument("a ciphertext is a Uint8Array");
    if (ciphertext.length === 0 || ciphertext.length > MOST_BYTES) throw rejected();
    const fields = {
      CiphertextBlob: toBase64(ciphertext),
      EncryptionContext: { ...encryptionContext },
      EncryptionAlgorithm: "SYMMETRIC_DEFAULT",
    };
    const answer = await connection.call("Decrypt", fields, signal);
    if (textFieldOf(answer, "KeyId") !== key.text) throw brokenAnswer("Decrypt", key.text, "names another key");
    const plaintext = fromBase64(textFieldOf(answer, "Plaintext") ?? "");
    if (plaintext === undefined || plaintext.length === 0) throw brokenAnswer("Decrypt", key.text, "holds no plaintext");
    return plaintext;
  };
}

/** What the service takes. */
const MOST_BYTES = 6144;
