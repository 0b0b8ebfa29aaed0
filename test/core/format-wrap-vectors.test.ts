import { constants, createDecipheriv, createPrivateKey, privateDecrypt } from "node:crypto";
import { aeskw, aeskwp } from "@noble/ciphers/aes.js";
import { hexToBytes } from "@noble/hashes/utils.js";
import { describe, expect, test } from "vitest";
import { EnvelockError, type KeyProvider, Keyring } from "../../src/index.ts";
import type { OtherWrapVector, SharedOtherKeks } from "../format/other-wrap-vectors.ts";
import { counted, mapOf, outcomeOf, titleOf } from "../format/outcomes.ts";
import { readVectors } from "../format/read-vectors.ts";
import { hex } from "../format/vector-file.ts";
import * as writer from "../format/writer.ts";

// docs/vectors/other-wraps.json: algorithms that the library leaves to tokens and services, by other means, through the keyring.
// docs/format.md §3.1

describe("wraps of algorithms 2, 3, 6, 7 and 8", () => {
  const { shared, vectors } = readVectors<OtherWrapVector, SharedOtherKeks>("other-wraps.json");
  counted(vectors, 16, 47);
  for (const vector of vectors) {
    test(titleOf(vector), async () => {
      const { alg, keyId } = vector;
      const { keyCommit } = writer.derive(hexToBytes(vector.dataKey), writer.encodeContext(vector.keyContext));
      const recipient = { provider: shared.provider, keyId, alg, wrapped: hexToBytes(vector.wrapped) };
      const record = writer.join(writer.standaloneParts(writer.keyRecordParts(keyCommit, [recipient])));
      const keyring = new Keyring({ unwrapWith: [providerOf(shared, keyId)], context: mapOf(vector.keyContext) });
      const outcome = await outcomeOf(async () => (await keyring.unwrapDataKey(record)).keyCommit);
      expect(outcome).toEqual(vector.error === undefined ? { bytes: hex(keyCommit) } : { error: vector.error });
    });
  }
});

/** A KEK as docs/format.md §3.1 wants it: bound to one algorithm, and wary of every length. */
function providerOf({ provider, keks }: SharedOtherKeks, ownKeyId: string): KeyProvider {
  const { alg: ownAlg = 0, aes = "", rsa } = keks[ownKeyId] ?? {};
  const kek = hexToBytes(aes);
  const rejected = (): EnvelockError => new EnvelockError("unwrap-rejected", "not wrapped by this key");
  const unwrapped = (wrapped: Uint8Array, aad: Uint8Array): Uint8Array => {
    if (ownAlg === 2) return openGcm(kek, wrapped, aad);
    if (ownAlg === 6) return aeskw(kek).decrypt(wrapped);
    if (ownAlg === 7) return aeskwp(kek).decrypt(wrapped);
    if (rsa === undefined) throw rejected();
    const key = createPrivateKey({ key: { ...rsa }, format: "jwk" });
    return privateDecrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: ownAlg === 3 ? "sha256" : "sha1" }, wrapped);
  };
  return {
    name: provider,
    owns: (keyId) => keyId === ownKeyId,
    wrap: () => Promise.reject(rejected()),
    async unwrap({ alg, keyId, wrapped }, { wrapAad }) {
      if (alg !== ownAlg || wrapped.length !== (WRAPPED_BYTES[alg] ?? 256)) throw rejected();
      let secret: Uint8Array;
      try {
        secret = unwrapped(wrapped, wrapAad(keyId));
      } catch {
        throw rejected();
      }
      if (secret.length !== 32) throw rejected();
      return Uint8Array.from(secret);
    },
  };
}

function openGcm(kek: Uint8Array, wrapped: Uint8Array, aad: Uint8Array): Uint8Array {
  const name = kek.length === 16 ? "aes-128-gcm" : kek.length === 24 ? "aes-192-gcm" : "aes-256-gcm";
  const decipher = createDecipheriv(name, kek, wrapped.subarray(0, 12), { authTagLength: 16 });
  decipher.setAAD(aad);
  decipher.setAuthTag(wrapped.subarray(44));
  return Buffer.concat([decipher.update(wrapped.subarray(12, 44)), decipher.final()]);
}

const WRAPPED_BYTES: Readonly<Record<number, number>> = { 2: 60, 6: 40, 7: 40 };
