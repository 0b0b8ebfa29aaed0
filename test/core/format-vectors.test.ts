import { readFileSync } from "node:fs";
import { aessiv, gcm } from "@noble/ciphers/aes.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { hexToBytes } from "@noble/hashes/utils.js";
import { describe, expect, test } from "vitest";
import { localHybridKeyPair } from "../../providers/local/hybrid.ts";
import { localKey, localKeyPair } from "../../providers/local/index.ts";
import { type Context, DataKey, EnvelockError, inspect, type KeyProvider, Keyring } from "../../src/index.ts";
import type { BodyVector, SharedHeader } from "../format/body-vectors.ts";
import type { ContextVector } from "../format/context-vectors.ts";
import type { DerivationVector, LocalWrapVector, WrapAadVector } from "../format/derivation-vectors.ts";
import type { EnvelopeVector } from "../format/envelope-vectors.ts";
import type { HpkeWrapVector, SharedKeyPairs } from "../format/hpke-vectors.ts";
import type { KeyRecordVector, SharedKeks } from "../format/key-record-vectors.ts";
import { DATA_KEY, patterned } from "../format/material.ts";
import { counted, isShape, keyringOf, mapOf, type Outcome, outcomeOf, titleOf } from "../format/outcomes.ts";
import { readVectors, VECTORS } from "../format/read-vectors.ts";
import type { TokenVector } from "../format/token-vectors.ts";
import { bytesOf, hex, pairsOf, type Vector, type VectorBytes } from "../format/vector-file.ts";
import * as writer from "../format/writer.ts";

// Every vector of docs/vectors/ through the public surface: the second writer of test/format wrote them, src/ reads them.

describe("contexts", () => {
  const { vectors } = readVectors<ContextVector>("contexts.json");
  counted(vectors, 24, 21);
  for (const vector of vectors) {
    test(titleOf(vector), async () => {
      const keyContext = mapOf(vector.keyContext);
      const context = mapOf(vector.context);
      const outcome = await outcomeOf(() => DataKey.from(DATA_KEY, keyContext).encryptDeterministic(SOME_BYTES, context));
      if (vector.error !== undefined) {
        expect(outcome).toEqual({ error: vector.error });
        return;
      }
      // the encoding is component 2 of a deterministic token: format.md §5
      const merged = new Map([...pairsOf(vector.keyContext), ...pairsOf(vector.context)]);
      const encoded = vector.encoded === undefined ? writer.encodeContext([...merged]) : hexToBytes(vector.encoded);
      expect([encoded.length, hex(sha256(encoded))]).toEqual([vector.bytes, vector.sha256]);
      const keys = writer.derive(DATA_KEY, writer.encodeContext(pairsOf(vector.keyContext)));
      expect(outcome).toEqual({ bytes: hex(writer.join(writer.deterministicParts(keys, encoded, SOME_BYTES))) });
    });
  }
});

describe("derivations", () => {
  const { vectors } = readVectors<DerivationVector>("derivations.json");
  counted(vectors, 8, 0);
  for (const vector of vectors) {
    test(vector.name, async () => {
      const keyContext = mapOf(vector.keyContext);
      const keyCtx = writer.encodeContext(vector.keyContext);
      const dataKey = DataKey.from(hexToBytes(vector.dataKey), keyContext);
      expect([hex(dataKey.keyCommit), dataKey.kid]).toEqual([vector.keyCommit, vector.kid]);
      // what src/ seals opens with the derived keys, and what they seal is opened by src/
      const token = dataKey.encryptToken(SOME_BYTES);
      const gcmKey = writer.xaesKey(hexToBytes(vector.tokenKey), token.subarray(17, 41));
      const aad = writer.tokenAad(token.subarray(0, 17), keyCtx);
      expect(hex(gcm(gcmKey, token.subarray(29, 41), aad).decrypt(token.subarray(41)))).toBe(hex(SOME_BYTES));
      const deterministic = dataKey.encryptDeterministic(SOME_BYTES);
      const label = writer.deterministicLabel(deterministic.subarray(0, 17));
      expect(hex(aessiv(hexToBytes(vector.detKey), label, keyCtx).decrypt(deterministic.subarray(17)))).toBe(hex(SOME_BYTES));
      const keys = { ...writer.derive(hexToBytes(vector.dataKey), keyCtx), body: hexToBytes(vector.bodyKey) };
      const recipient = { provider: "any", keyId: "k", alg: 10, wrapped: SOME_BYTES };
      const header = writer.join(writer.headerParts(writer.keyRecordParts(keys.keyCommit, [recipient])));
      const body = writer.join(writer.bodyParts(keys, patterned(24), keyCtx, SOME_BYTES));
      const keyring = new Keyring({ unwrapWith: [providerOf("any", async () => hexToBytes(vector.dataKey))], context: keyContext });
      expect(hex(await keyring.decryptDetached({ header, body }))).toBe(hex(SOME_BYTES));
    });
  }
});

describe("wrap AADs", () => {
  const { vectors } = readVectors<WrapAadVector>("wrap-aads.json");
  counted(vectors, 6, 0);
  for (const vector of vectors) {
    test(`format.md [M-24] ${vector.name}`, async () => {
      const seen: string[] = [];
      const provider = providerOf(vector.provider, async ({ keyId }, { wrapAad }) => {
        seen.push(hex(wrapAad(keyId)));
        throw new EnvelockError("unwrap-rejected", "seen enough");
      });
      const recipient = { provider: vector.provider, keyId: vector.keyId, alg: 1, wrapped: new Uint8Array(72) };
      const record = writer.join(writer.standaloneParts(writer.keyRecordParts(new Uint8Array(32), [recipient])));
      const keyring = new Keyring({ unwrapWith: [provider], context: mapOf(vector.keyContext) });
      expect(await outcomeOf(() => keyring.unwrapDataKey(record))).toEqual({ error: "authentication-failed" });
      expect(seen).toEqual([vector.wrapAad]);
    });
  }
});

describe("local wraps", () => {
  const { vectors } = readVectors<LocalWrapVector>("local-wraps.json");
  counted(vectors, 7, 0);
  for (const vector of vectors) {
    test(vector.name, async () => {
      const { provider, keyId } = vector;
      const kek = localKey({ keyId, key: hexToBytes(vector.kek) });
      const recipient = { provider, keyId, alg: 1, wrapped: hexToBytes(vector.wrapped) };
      const keyContext = mapOf(vector.keyContext);
      expect(hex(await kek.unwrap(recipient, { keyContext, wrapAad: () => hexToBytes(vector.wrapAad) }))).toBe(vector.dataKey);
      const { keyCommit } = writer.derive(hexToBytes(vector.dataKey), writer.encodeContext(vector.keyContext));
      const record = writer.join(writer.standaloneParts(writer.keyRecordParts(keyCommit, [recipient])));
      const dataKey = await new Keyring({ unwrapWith: [kek], context: keyContext }).unwrapDataKey(record);
      expect(hex(dataKey.keyCommit)).toBe(hex(keyCommit));
    });
  }
});

describe("HPKE wraps", () => {
  const { shared, vectors } = readVectors<HpkeWrapVector, SharedKeyPairs>("hpke-wraps.json");
  counted(vectors, 6, 32);
  for (const vector of vectors) {
    test(titleOf(vector), async () => {
      const { alg, keyId } = vector;
      const { publicKey = "", secretKey = "" } = shared.keyPairs[keyId] ?? {};
      const pair = { keyId, publicKey: hexToBytes(publicKey), privateKey: hexToBytes(secretKey) };
      const provider = alg === 4 ? localKeyPair(pair) : localHybridKeyPair(pair);
      const { keyCommit } = writer.derive(hexToBytes(vector.dataKey), writer.encodeContext(vector.keyContext));
      const recipient = { provider: "local", keyId, alg, wrapped: hexToBytes(vector.wrapped) };
      const record = writer.join(writer.standaloneParts(writer.keyRecordParts(keyCommit, [recipient])));
      const unwrapped = await outcomeOf(async () => {
        const dataKey = await new Keyring({ unwrapWith: [provider], context: mapOf(vector.keyContext) }).unwrapDataKey(record);
        return dataKey.keyCommit;
      });
      expect(unwrapped).toEqual(vector.error === undefined ? { bytes: hex(keyCommit) } : { error: vector.error });
    });
  }
});

describe("key records", () => {
  const { shared, vectors } = readVectors<KeyRecordVector, SharedKeks>("key-records.json");
  counted(vectors, 33, 210);
  for (const vector of vectors) {
    test(titleOf(vector), async () => {
      const record = bytesOf(vector.record);
      const keyring = keyringOf(shared, vector);
      const [unwrapped, rewrapped] = [() => keyring.unwrapDataKey(record), () => keyring.rewrapKeyRecord(record)];
      if (vector.error !== undefined) {
        expect(await outcomeOf(unwrapped)).toEqual({ error: vector.error });
        expect(await outcomeOf(rewrapped)).toEqual({ error: vector.error });
        const inspected = isShape(vector) ? { error: vector.error } : { kind: "key-record" };
        if (record[0] === 0x9d) expect(await outcomeOf(() => inspect(record))).toEqual(inspected);
        return;
      }
      const dataKey = await unwrapped();
      const same = DataKey.from(hexToBytes(vector.dataKey ?? ""), mapOf(vector.keyContext));
      expect(hex(dataKey.keyCommit)).toBe(vector.keyCommit);
      expect(dataKey.decryptToken(same.encryptToken(SOME_BYTES))).toEqual(SOME_BYTES);
      const inspection = inspect(record);
      expect(inspection).toMatchObject({ kind: "key-record", suite: 1, keyCommit: vector.keyCommit });
      expect("recipients" in inspection && inspection.recipients.length).toBe(vector.recipients);
      expect(inspect(await rewrapped())).toMatchObject({ keyCommit: vector.keyCommit });
    });
  }
});

describe("envelopes", () => {
  const { shared, vectors } = readVectors<EnvelopeVector, SharedKeks>("envelopes.json");
  counted(vectors, 13, 97);
  for (const vector of vectors) {
    test(titleOf(vector), async () => {
      const opened = await outcomeOf(() => {
        const keyring = keyringOf(shared, vector);
        const options = { context: mapOf(vector.context) };
        if (vector.envelope !== undefined) return keyring.decrypt(bytesOf(vector.envelope), options);
        return keyring.decryptDetached({ header: bytesOf(vector.header ?? ""), body: bytesOf(vector.body ?? "") }, options);
      });
      if (vector.error !== undefined) {
        expect(opened).toEqual({ error: vector.error });
        if (vector.envelope === undefined) return;
        const inPieces = await piecewise(() => keyringOf(shared, vector), bytesOf(vector.envelope), mapOf(vector.context), 50);
        expect(inPieces).toEqual({ error: vector.error, handedOut: "" });
        return;
      }
      expect(opened).toEqual({ bytes: vector.plaintext });
      const whole = bytesOf(vector.envelope ?? [...piecesOf(vector.header), ...piecesOf(vector.body)]);
      const { headerBytes = 0, paddingBytes } = vector;
      const inspection = inspect(whole);
      expect(inspection).toMatchObject({
        kind: "envelope",
        headerBytes,
        paddingBytes,
        plaintextBytes: (vector.plaintext ?? "").length / 2,
      });
      expect("recipients" in inspection && inspection.recipients.length).toBe(vector.recipients);
      // format.md §4: the detached form is the same bytes, cut
      const detached = { header: whole.subarray(0, headerBytes), body: whole.subarray(headerBytes) };
      const keyring = keyringOf(shared, vector);
      expect(hex(await keyring.decryptDetached(detached, { context: mapOf(vector.context) }))).toBe(vector.plaintext);
      expect(hex(await keyring.decrypt(whole, { context: mapOf(vector.context) }))).toBe(vector.plaintext);
      expect(await piecewise(() => keyring, whole, mapOf(vector.context), 50)).toEqual({ handedOut: vector.plaintext });
    });
  }
});

describe("tokens", () => {
  const { vectors } = readVectors<TokenVector>("tokens.json");
  counted(vectors, 27, 74);
  for (const vector of vectors) {
    const { kind, token, text, plaintext, error } = vector;
    const opened = (given: Uint8Array | string): Promise<Outcome> =>
      outcomeOf(() => {
        const dataKey = DataKey.from(hexToBytes(vector.dataKey), mapOf(vector.keyContext));
        const context = mapOf(vector.context);
        return kind === "random" ? dataKey.decryptToken(given, context) : dataKey.decryptDeterministic(given, context);
      });
    test(titleOf(vector), async () => {
      const expected = error === undefined ? { bytes: plaintext } : { error };
      if (token !== undefined) {
        expect(await opened(hexToBytes(token))).toEqual(expected);
        expect(await opened(Buffer.from(token, "hex").toString("base64url"))).toEqual(expected);
      }
      if (text !== undefined) expect(await opened(text)).toEqual(expected);
      if (error !== undefined || kind === "random") return;
      const dataKey = DataKey.from(hexToBytes(vector.dataKey), mapOf(vector.keyContext));
      expect(hex(dataKey.encryptDeterministic(hexToBytes(plaintext ?? ""), mapOf(vector.context)))).toBe(token);
    });
  }
});

describe("bodies", () => {
  const { shared, vectors } = readVectors<BodyVector, SharedHeader>("bodies.json");
  const byName = new Map(vectors.map((vector) => [vector.name, vector]));
  counted(vectors, 12, 65);

  /** Long bodies are not in the file: they are written anew, and must have the hash that is. */
  const bodyOf = (vector: Vector<BodyVector>): Uint8Array => {
    if (vector.body !== undefined) return bytesOf(vector.body, bodyCalled);
    if (vector.file !== undefined) return readFileSync(new URL(vector.file, VECTORS));
    const keyContext = pairsOf(vector.keyContext);
    const keys = writer.derive(hexToBytes(shared.dataKey), writer.encodeContext(keyContext));
    const valueContext = writer.encodeContext([...keyContext, ...pairsOf(vector.context)]);
    return writer.join(writer.bodyParts(keys, hexToBytes(vector.salt ?? ""), valueContext, patterned(vector.plaintextBytes ?? 0)));
  };
  const bodyCalled = (name: string): Uint8Array => {
    const vector = byName.get(name);
    if (vector === undefined) throw new Error(`no body is called ${name}`);
    return bodyOf(vector);
  };

  for (const vector of vectors) {
    test(titleOf(vector), async () => {
      const body = bodyOf(vector);
      const keyring = keyringOf(shared, { ...vector, unwrapWith: shared.unwrapWith });
      const opened = await outcomeOf(() =>
        keyring.decryptDetached({ header: hexToBytes(shared.header), body }, { context: mapOf(vector.context) }),
      );
      // format.md [M-53]: a stream hands out verified chunks alone, and ends as the whole does
      const envelope = Buffer.concat([hexToBytes(shared.header), body]);
      const { error, handedOut } = await piecewise(() => keyring, envelope, mapOf(vector.context), 5000);
      expect(error).toBe(vector.error);
      expect(LONGEST.startsWith(handedOut)).toBe(true);
      if (vector.error !== undefined) {
        expect(opened).toEqual({ error: vector.error });
        expect((handedOut.length / 2) % writer.CHUNK_BYTES).toBe(0);
        return;
      }
      expect(handedOut.length / 2).toBe(vector.plaintextBytes);
      expect([body.length, hex(sha256(body))]).toEqual([vector.bodyBytes, vector.sha256]);
      expect(opened).toEqual({ bytes: hex(patterned(vector.plaintextBytes ?? 0)) });
    });
  }
});

/** Owns every key id, and only unwraps. */
function providerOf(name: string, unwrap: KeyProvider["unwrap"]): KeyProvider {
  return { name, owns: () => true, wrap: () => Promise.reject(new EnvelockError("closed", "unused")), unwrap };
}

/** What `decryptPieces` hands out of an envelope that comes in pieces, and the error that it ends in. */
async function piecewise(
  keyringOf: () => Keyring,
  envelope: Uint8Array,
  context: Context,
  pieceBytes: number,
): Promise<{ readonly handedOut: string; readonly error?: string }> {
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < envelope.length; at += pieceBytes) yield envelope.subarray(at, at + pieceBytes);
  }
  let handedOut = "";
  const outcome = await outcomeOf(async () => {
    for await (const piece of keyringOf().decryptPieces(pieces(), { context })) handedOut += hex(piece);
  });
  return "error" in outcome ? { handedOut, error: outcome.error } : { handedOut };
}

function piecesOf(bytes: VectorBytes | undefined): Exclude<VectorBytes, string> {
  return typeof bytes === "string" ? [bytes] : (bytes ?? []);
}

/** No plaintext of the vectors is longer. */
const LONGEST: string = hex(patterned(257 * writer.CHUNK_BYTES));
const SOME_BYTES: Uint8Array = Uint8Array.of(1, 2, 3);
