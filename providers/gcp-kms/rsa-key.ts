import { fromBase64 } from "../../src/core/base/base64.ts";
import type { OwnedBytes } from "../../src/core/base/bytes.ts";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { SingleFlights } from "../../src/core/base/single-flight.ts";
import { WRAP_ALGORITHMS } from "../../src/core/contracts/algorithms.ts";
import { textFieldOf } from "../http/fields.ts";
import { tryRoundTrip } from "../http/trial.ts";
import { receivedBytes, receivedText, requireVerified, sentBytes } from "./checked-bytes.ts";
import type { GcpConnection } from "./connection.ts";
import { brokenAnswer, rejected } from "./failures.ts";
import { versionName } from "./key-name.ts";
import type { KeyKind } from "./kind.ts";

/** A key of the purpose ASYMMETRIC_DECRYPT. One version wraps, by its public key in this process; the version named unwraps. */
export function rsaKey(connection: GcpConnection, key: string, version: number): KeyKind {
  const wrapsWith = versionName(key, version);
  let proven: PublicKey | undefined;
  const proofs = new SingleFlights<undefined, PublicKey>();

  const decrypt = async (keyId: string, wrapped: Uint8Array, signal: AbortSignal | undefined): Promise<OwnedBytes> => {
    const body = sentBytes({ ciphertext: wrapped });
    const answer = await connection.call({ operation: "asymmetricDecrypt", name: keyId, suffix: ":asymmetricDecrypt", body }, signal);
    const plaintext = receivedBytes(answer, "plaintext", "asymmetricDecrypt", keyId);
    requireVerified(answer, ["verifiedCiphertextCrc32c"], "asymmetricDecrypt", keyId);
    return plaintext;
  };

  const prove = async (): Promise<PublicKey> => {
    const publicKey = await publicKeyOf(connection, wrapsWith);
    await tryRoundTrip({
      bindsContext: false,
      hints: { roundTrip: "nothing was encrypted under it; the public key is not that of the version", context: "" },
      wrap: (dek) => encrypt(publicKey, dek),
      unwrap: (wrapped) => decrypt(wrapsWith, wrapped, undefined),
    });
    proven = publicKey;
    return publicKey;
  };

  return {
    alg: WRAP_ALGORITHMS.rsaOaep256,
    async wrap(dek, { signal }) {
      const publicKey = proven ?? (await proofs.run(undefined, prove, { signal }));
      return { keyId: wrapsWith, wrapped: await encrypt(publicKey, dek) };
    },
    async unwrap(keyId, wrapped, { signal }) {
      if (!MODULUS_BYTES.has(wrapped.length)) throw rejected();
      return await decrypt(keyId, wrapped, signal);
    },
    async current() {
      return wrapsWith;
    },
  };
}

type PublicKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>;

async function publicKeyOf(connection: GcpConnection, version: string): Promise<PublicKey> {
  const operation = "get-public-key";
  const answer = await connection.call({ operation, name: version, suffix: "/publicKey" }, undefined);
  if (textFieldOf(answer, "name") !== version) throw brokenAnswer(operation, version, "names another version");
  const algorithm = textFieldOf(answer, "algorithm") ?? "none";
  if (!/^RSA_DECRYPT_OAEP_(?:2048|3072|4096)_SHA256$/.test(algorithm)) throw wrongAlgorithm(version);
  const [, body = ""] =
    /^-----BEGIN PUBLIC KEY-----\n([A-Za-z0-9+/=\n]+)\n-----END PUBLIC KEY-----\n?$/.exec(
      receivedText(answer, "pem", operation, version).replaceAll("\r\n", "\n"),
    ) ?? [];
  const spki = fromBase64(body.replaceAll("\n", ""));
  if (spki === undefined || spki.length === 0) throw brokenAnswer(operation, version, "holds no public key");
  try {
    return await crypto.subtle.importKey("spki", spki, { name: "RSA-OAEP", hash: "SHA-256" }, false, ["encrypt"]);
  } catch {
    throw brokenAnswer(operation, version, "holds no RSA key");
  }
}

async function encrypt(publicKey: PublicKey, dek: Uint8Array): Promise<OwnedBytes> {
  return new Uint8Array(await crypto.subtle.encrypt({ name: "RSA-OAEP" }, publicKey, new Uint8Array(dek)));
}

function wrongAlgorithm(version: string): EnvelockError {
  return new EnvelockError("provider-failure", `${version} is no RSA key for OAEP with SHA-256`, {
    detail: "key-type",
    hint: "make a version with the algorithm rsa-decrypt-oaep-3072-sha256",
  });
}

/** The lengths for 2048, 3072 and 4096 bits. */
const MODULUS_BYTES: ReadonlySet<number> = new Set([256, 384, 512]);
