import { createHash } from "node:crypto";
import { inflateSync } from "node:zlib";
import { expect, test } from "vitest";
import { engine } from "#engine";
import { authenticationFailed, malformed } from "../../../src/core/base/errors.ts";
import { CHUNK_BYTES, SALT_BYTES } from "../../../src/core/contracts/suite.ts";
import {
  BODY_PREFIX_BYTES,
  type BodyKeys,
  bodyBytes,
  chunkCount,
  deriveBodyKeys,
  openChunks,
  plaintextBytesOf,
  SEALED_CHUNK_BYTES,
  sealChunks,
} from "../../../src/core/crypto/cobblestone.ts";
import { hexOf } from "../../support/bytes.ts";
import { refusalCode } from "../../support/refusal.ts";
import { describeVectors, hex, type WycheproofTest, wycheproof } from "../../support/vectors.ts";

// docs/format.md §6: raw input key in, for the derivation above it is ours alone

describeVectors("Cobblestone-256 (C2SP chunked-encryption v1)", () => {
  test("35 vectors open or are refused as they must", async () => {
    const outcomes: Record<string, number> = {};
    for (const vector of cobblestoneVectors()) {
      const outcome = await openWhole(vector).then(sha512, () => "refused");
      expect(outcome, label(vector)).toBe(vector.result === "valid" ? vector.msgSha512 : "refused");
      outcomes[vector.result] = (outcomes[vector.result] ?? 0) + 1;
    }
    expect(outcomes).toEqual({ valid: 10, invalid: 25 });
  });

  test("the 10 broken in the header are refused before any chunk, with the code of their class", async () => {
    const broken = cobblestoneVectors().filter(({ flags }) => flags.includes("HeaderFailure"));
    for (const vector of broken) {
      const code = vector.flags.includes("Truncation")
        ? "malformed-envelope"
        : vector.flags.includes("InvalidKeySize")
          ? "invalid-argument"
          : "authentication-failed";
      expect(await refusalCode(() => verifiedKeys(vector)), label(vector)).toBe(code);
    }
    expect(broken).toHaveLength(10);
  });

  test("the derived key and nonce base are the published ones", async () => {
    const published = cobblestoneVectors().flatMap((vector) => (vector.aeadKey === undefined ? [] : [vector]));
    for (const vector of published) {
      const body = inflated(vector);
      const { key, base } = deriveBodyKeys(hex(vector.key), body.subarray(0, SALT_BYTES), hex(vector.ctx));
      expect([hexOf(key), hexOf(base)], label(vector)).toEqual([vector.aeadKey, vector.baseNonce]);
    }
    expect(published).toHaveLength(25);
  });

  test("sealing under the published salt gives the published bytes, in one piece and in odd ones", async () => {
    const valid = cobblestoneVectors().filter(({ result }) => result === "valid");
    for (const vector of valid) {
      const body = inflated(vector);
      const plaintext = await openWhole(vector);
      for (const batches of [[Number.POSITIVE_INFINITY], [1], [3, 1, 2], [7, 100]]) {
        const sealed = await sealInBatches(vector, body.subarray(0, SALT_BYTES), plaintext, batches);
        expect(Buffer.compare(sealed, body), `${label(vector)} in batches of ${batches}`).toBe(0);
      }
    }
    expect(valid).toHaveLength(10);
  });

  test("opening in odd pieces gives the same, and of a broken body the published prefix at most", async () => {
    const withPrefix = cobblestoneVectors().filter(({ msgSha512 }) => msgSha512 !== undefined);
    for (const vector of withPrefix) {
      for (const batches of [[1], [2, 1], [5, 250]]) {
        const { opened, isWhole } = await openInBatches(vector, batches);
        expect(isWhole, `${label(vector)} in batches of ${batches}`).toBe(vector.result === "valid");
        if (batches.length > 1 && !isWhole) continue; // a failed batch gives nothing, also of its good chunks
        expect(opened.length, label(vector)).toBe(vector.msgLength);
        expect(sha512(opened), label(vector)).toBe(vector.msgSha512);
      }
    }
    expect(withPrefix).toHaveLength(19);
  });

  test("the last chunk opens alone, as a seek from the end does, exactly where it is said to", async () => {
    let validEnds = 0;
    for (const vector of cobblestoneVectors()) {
      if (vector.flags.includes("HeaderFailure") || plaintextBytesOf(inflated(vector).length) === undefined) continue;
      const opens = await openLast(vector).then(
        () => true,
        () => false,
      );
      expect(opens, label(vector)).toBe(vector.result === "valid" || vector.flags.includes("ValidFinalChunk"));
      if (opens) validEnds++;
    }
    expect(validEnds).toBe(14);
  });
});

interface CobblestoneVector extends WycheproofTest {
  readonly key: string;
  readonly ctx: string;
  readonly ct: string;
  readonly aeadKey?: string;
  readonly baseNonce?: string;
  readonly msgLength?: number;
  readonly msgSha512?: string;
}

function cobblestoneVectors(): CobblestoneVector[] {
  const all = wycheproof<CobblestoneVector>("c2sp_chunked_encryption_aes_256_gcm");
  expect(all).toHaveLength(35);
  return all;
}

function inflated({ ct }: CobblestoneVector): Uint8Array {
  return new Uint8Array(inflateSync(hex(ct)));
}

/** Length, key size and commitment, in this order. */
async function verifiedKeys(vector: CobblestoneVector): Promise<BodyKeys> {
  const body = inflated(vector);
  if (body.length < BODY_PREFIX_BYTES) throw malformed("cut short in the prefix");
  const keys = deriveBodyKeys(hex(vector.key), body.subarray(0, SALT_BYTES), hex(vector.ctx));
  if (!engine.timingSafeEqual(keys.commitment, body.subarray(SALT_BYTES, BODY_PREFIX_BYTES))) throw authenticationFailed();
  return keys;
}

async function openWhole(vector: CobblestoneVector): Promise<Uint8Array> {
  const body = inflated(vector);
  const { key, base } = await verifiedKeys(vector);
  const plaintextBytes = plaintextBytesOf(body.length);
  if (plaintextBytes === undefined) throw malformed("no body has this length");
  const plaintext = new Uint8Array(plaintextBytes);
  await openChunks(engine.chunkCipher(key, chunkCount(plaintextBytes)), base, 0, body.subarray(BODY_PREFIX_BYTES), plaintext, 0);
  return plaintext;
}

/** Opens batch by batch, as many chunks as `batches` says in turn, and keeps what opened before the first failure. */
async function openInBatches(vector: CobblestoneVector, batches: readonly number[]): Promise<{ opened: Uint8Array; isWhole: boolean }> {
  const { key, base } = await verifiedKeys(vector);
  const sealed = inflated(vector).subarray(BODY_PREFIX_BYTES);
  const cipher = engine.chunkCipher(key, Number.POSITIVE_INFINITY);
  const parts: Uint8Array[] = [];
  let chunk = 0;
  for (let turn = 0; chunk * SEALED_CHUNK_BYTES < sealed.length; turn++) {
    const count = batches[turn % batches.length] ?? 1;
    const batch = sealed.subarray(chunk * SEALED_CHUNK_BYTES, (chunk + count) * SEALED_CHUNK_BYTES);
    const rest = batch.length % SEALED_CHUNK_BYTES;
    if (rest > 0 && rest < 16) return { opened: Buffer.concat(parts), isWhole: false };
    const target = new Uint8Array(batch.length - 16 * Math.ceil(batch.length / SEALED_CHUNK_BYTES));
    try {
      await openChunks(cipher, base, chunk, batch, target, 0);
    } catch {
      return { opened: Buffer.concat(parts), isWhole: false };
    }
    parts.push(target);
    chunk += count;
  }
  return { opened: Buffer.concat(parts), isWhole: sealed.length % SEALED_CHUNK_BYTES !== 0 };
}

async function openLast(vector: CobblestoneVector): Promise<void> {
  const { key, base } = await verifiedKeys(vector);
  const sealed = inflated(vector).subarray(BODY_PREFIX_BYTES);
  const last = Math.floor(sealed.length / SEALED_CHUNK_BYTES);
  const chunk = sealed.subarray(last * SEALED_CHUNK_BYTES);
  await openChunks(engine.chunkCipher(key, 1), base, last, chunk, new Uint8Array(chunk.length - 16), 0);
}

async function sealInBatches(
  { key: inputKey, ctx }: CobblestoneVector,
  salt: Uint8Array,
  plaintext: Uint8Array,
  batches: readonly number[],
): Promise<Uint8Array> {
  const { key, base, commitment } = deriveBodyKeys(hex(inputKey), salt, hex(ctx));
  const cipher = engine.chunkCipher(key, chunkCount(plaintext.length));
  const body = new Uint8Array(bodyBytes(plaintext.length));
  body.set(salt);
  body.set(commitment, SALT_BYTES);
  let chunk = 0;
  for (let turn = 0; ; turn++) {
    const count = batches[turn % batches.length] ?? 1;
    const isEnd = chunk + count >= chunkCount(plaintext.length);
    const batch = plaintext.subarray(chunk * CHUNK_BYTES, (chunk + count) * CHUNK_BYTES);
    await sealChunks(cipher, base, chunk, batch, isEnd, body, BODY_PREFIX_BYTES + chunk * SEALED_CHUNK_BYTES);
    if (isEnd) return body;
    chunk += count;
  }
}

function label({ tcId, comment }: CobblestoneVector): string {
  return `${tcId}: ${comment}`;
}

function sha512(bytes: Uint8Array): string {
  return createHash("sha512").update(bytes).digest("hex");
}
