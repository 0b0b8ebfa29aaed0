import {
  AlgorithmSuiteIdentifier,
  buildClient,
  CommitmentPolicy,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
} from "@aws-crypto/client-node";

// The AWS Encryption SDK over a raw AES key.

type Client = ReturnType<typeof buildClient>;

/** A client that takes committing suites alone, and a keyring over a key of 32 bytes. */
export function awsClient(key: Uint8Array): { readonly client: Client; readonly keyring: RawAesKeyringNode } {
  const keyring = new RawAesKeyringNode({
    keyName: "bench",
    keyNamespace: "bench",
    unencryptedMasterKey: new Uint8Array(key), // a buffer of its own, as the keyring wants it
    wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
  });
  return { client: buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT), keyring };
}

/** Its fastest committing suite, without the signature of the default one. */
export const UNSIGNED_SUITE: AlgorithmSuiteIdentifier = AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY;
