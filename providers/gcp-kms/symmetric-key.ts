import { sha2 } from "#sha2";
import { type OwnedBytes, utf8 } from "../../src/core/base/bytes.ts";
import { SingleFlights } from "../../src/core/base/single-flight.ts";
import { WRAP_ALGORITHMS } from "../../src/core/contracts/algorithms.ts";
import type { WrapOptions } from "../../src/core/contracts/key-provider.ts";
import { fieldOf, textFieldOf } from "../http/fields.ts";
import { tryRoundTrip } from "../http/trial.ts";
import { receivedBytes, requireVerified, sentBytes } from "./checked-bytes.ts";
import type { GcpConnection } from "./connection.ts";
import { brokenAnswer } from "./failures.ts";
import { versionOf } from "./key-name.ts";
import type { KeyKind } from "./kind.ts";

/** A key of the purpose ENCRYPT_DECRYPT. Its primary version wraps; the version stored is the one that the answer names. */
export function symmetricKey(connection: GcpConnection, key: string): KeyKind {
  let isProven = false;
  const proofs = new SingleFlights<undefined, void>();

  /** The version is the service's to bind: nobody can name it at a decrypt. A digest, because an HSM takes 8 KiB at most. */
  const boundAad = ({ wrapAad }: Pick<WrapOptions, "wrapAad">): OwnedBytes => sha2.sha512(wrapAad(key));

  const encrypt = async (dek: Uint8Array, aad: Uint8Array, signal: AbortSignal | undefined): Promise<Encrypted> => {
    const body = sentBytes({ plaintext: dek, [AAD]: aad });
    const answer = await connection.call({ operation: "encrypt", name: key, suffix: ":encrypt", body }, signal);
    const wrapped = receivedBytes(answer, "ciphertext", "encrypt", key);
    requireVerified(answer, ["verifiedPlaintextCrc32c", "verifiedAdditionalAuthenticatedDataCrc32c"], "encrypt", key);
    const keyId = textFieldOf(answer, "name") ?? "";
    if (versionOf(keyId, key) === undefined) throw brokenAnswer("encrypt", key, "names no version of this key");
    return { keyId, wrapped };
  };
  const decrypt = async (wrapped: Uint8Array, aad: Uint8Array, signal: AbortSignal | undefined): Promise<OwnedBytes> => {
    const body = sentBytes({ ciphertext: wrapped, [AAD]: aad });
    const answer = await connection.call({ operation: "decrypt", name: key, suffix: ":decrypt", body }, signal);
    return receivedBytes(answer, "plaintext", "decrypt", key);
  };

  const prove = async (): Promise<void> => {
    const trial = (text: string): OwnedBytes => boundAad({ wrapAad: () => utf8(text) });
    const contexts = { right: trial("envelock/trial"), other: trial("envelock/other") };
    await tryRoundTrip({
      bindsContext: true,
      hints: {
        roundTrip: "nothing was encrypted under it; check that `key` is the key that you mean, and its versions",
        context: "check that `endpoint` is Cloud KMS itself; an external key manager must authenticate the additional data",
      },
      wrap: async (dek) => (await encrypt(dek, contexts.right, undefined)).wrapped,
      unwrap: (wrapped, which) => decrypt(wrapped, contexts[which], undefined),
    });
    isProven = true;
  };

  return {
    alg: WRAP_ALGORITHMS.opaqueWithContext,
    async wrap(dek, options) {
      const { signal } = options;
      const aad = boundAad(options);
      if (!isProven) await proofs.run(undefined, prove, { signal });
      return await encrypt(dek, aad, signal);
    },
    async unwrap(_keyId, wrapped, options) {
      return await decrypt(wrapped, boundAad(options), options.signal);
    },
    async current(signal) {
      const answer = await connection.call({ operation: "get-key", name: key }, signal);
      const keyId = textFieldOf(fieldOf(answer, "primary"), "name") ?? "";
      if (versionOf(keyId, key) === undefined) throw brokenAnswer("get-key", key, "names no primary version of this key");
      return keyId;
    },
  };
}

interface Encrypted {
  readonly keyId: string;
  readonly wrapped: OwnedBytes;
}

const AAD = "additionalAuthenticatedData";
