import { readFileSync } from "node:fs";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js";
import type { BlindIndexVector } from "../format/blind-index-vectors.ts";
import type { BodyVector, SharedHeader } from "../format/body-vectors.ts";
import type { CompositeVector, SharedComposites } from "../format/composite-vectors.ts";
import type { ContextVector } from "../format/context-vectors.ts";
import type { DerivationVector, LocalWrapVector } from "../format/derivation-vectors.ts";
import type { EnvelopeVector } from "../format/envelope-vectors.ts";
import type { FieldVector } from "../format/field-vectors.ts";
import type { HpkeWrapVector, SharedKeyPairs } from "../format/hpke-vectors.ts";
import type { KeyRecordVector, SharedKeks } from "../format/key-record-vectors.ts";
import { patterned } from "../format/material.ts";
import type { OtherWrapVector, SharedOtherKeks } from "../format/other-wrap-vectors.ts";
import type { RangeVector } from "../format/range-vectors.ts";
import { readVectors, VECTORS } from "../format/read-vectors.ts";
import type { TokenVector } from "../format/token-vectors.ts";
import { bytesOf, pairsOf, type Vector, type VectorFile } from "../format/vector-file.ts";
import * as writer from "../format/writer.ts";
import type { RangeSource } from "./body.ts";
import { contextsOf } from "./context.ts";
import { Refused } from "./failure.ts";
import { derived } from "./primitives.ts";
import { type ReaderKek, readEnvelope, readKeyRecord, readRange } from "./reader.ts";
import type { Slip } from "./slips.ts";
import { readField, readIndex, readToken } from "./values.ts";

/** One vector as something that a reader passes or fails. */
export interface Check {
  readonly name: string;
  passes(slip: Slip | undefined): boolean;
}

/** Every vector of docs/vectors that a reader can be held to, those that cost little first. */
export function checks(): readonly Check[] {
  return [
    ...contexts(),
    ...derivations(),
    ...tokens(),
    ...indexes(),
    ...fields(),
    ...records(),
    ...wraps(),
    ...composites(),
    ...envelopes(),
    ...ranges(),
    ...bodies(),
  ];
}

function check<Shape>(file: string, vector: Vector<Shape>, expected: unknown, read: (slip: Slip | undefined) => unknown): Check {
  const due = vector.error === undefined ? JSON.stringify(expected) : vector.error;
  return {
    name: `${file}: ${vector.name}`,
    passes(slip) {
      try {
        const result = read(slip);
        return JSON.stringify(result instanceof Uint8Array ? bytesToHex(result) : result) === due;
      } catch (error) {
        return error instanceof Refused && error.error === due;
      }
    },
  };
}

function contexts(): readonly Check[] {
  const { vectors } = readVectors<ContextVector>("contexts.json");
  return vectors.map((vector) =>
    check("contexts", vector, vector.sha256, (slip) =>
      sha256(contextsOf(pairsOf(vector.keyContext), pairsOf(vector.context), slip).valueCtx()),
    ),
  );
}

function derivations(): readonly Check[] {
  const { vectors } = readVectors<DerivationVector>("derivations.json");
  return vectors.map((vector) => {
    const { keyCommit, tokenKey, detKey, bodyKey } = vector;
    const dataKey = hexToBytes(vector.dataKey);
    return check("derivations", vector, [keyCommit, tokenKey, detKey, bodyKey], (slip) => [
      bytesToHex(derived(dataKey, "key-commit", contextsOf(vector.keyContext, [], slip).keyCtx, 32)),
      bytesToHex(derived(dataKey, "token", new Uint8Array(0), 32)),
      bytesToHex(derived(dataKey, "det", new Uint8Array(0), 64)),
      bytesToHex(derived(dataKey, "body", new Uint8Array(0), 32)),
    ]);
  });
}

function tokens(): readonly Check[] {
  const { vectors } = readVectors<TokenVector>("tokens.json");
  return vectors.flatMap((vector) => {
    const place = { ...vector, dataKey: hexToBytes(vector.dataKey) };
    const forms = [...(vector.token === undefined ? [] : [hexToBytes(vector.token)]), ...(vector.text === undefined ? [] : [vector.text])];
    return forms.map((form) => check("tokens", vector, vector.plaintext, (slip) => readToken(form, vector.kind, place, slip)));
  });
}

function indexes(): readonly Check[] {
  const { vectors } = readVectors<BlindIndexVector>("blind-indexes.json");
  return vectors.map((vector) => {
    const place = { ...vector, dataKey: hexToBytes(vector.dataKey) };
    return check("indexes", vector, { key: vector.indexKey, digits: vector.digits }, (slip) =>
      readIndex(place, vector.value, vector.bits, slip),
    );
  });
}

function fields(): readonly Check[] {
  const { vectors } = readVectors<FieldVector>("fields.json");
  return vectors.flatMap((vector) => {
    const { type, plaintext, value, columns = {} } = vector;
    if (plaintext === undefined) return [];
    return [check("fields", vector, value, (slip) => readField(type, hexToBytes(plaintext), columns, slip))];
  });
}

function records(): readonly Check[] {
  const { shared, vectors } = readVectors<KeyRecordVector, SharedKeks>("key-records.json");
  return vectors.map((vector) => {
    const place = { keks: keksOf(shared, vector.unwrapWith), keyContext: pairsOf(vector.keyContext), context: [] };
    return check("records", vector, vector.dataKey, (slip) => readKeyRecord(bytesOf(vector.record), place, slip));
  });
}

/** Each wrap as the only recipient of a key record. */
function wraps(): readonly Check[] {
  const local = readVectors<LocalWrapVector>("local-wraps.json");
  const hpke = readVectors<HpkeWrapVector, SharedKeyPairs>("hpke-wraps.json");
  const other = readVectors<OtherWrapVector, SharedOtherKeks>("other-wraps.json");
  const one = (
    file: string,
    vector: Vector<Pick<OtherWrapVector, "keyId" | "keyContext" | "dataKey" | "wrapped">>,
    provider: string,
    alg: number,
    kek: Partial<ReaderKek[number]>,
  ): Check => {
    const { keyId, keyContext, dataKey } = vector;
    const { keyCommit } = writer.derive(hexToBytes(dataKey), writer.encodeContext(keyContext));
    const recipient = { provider, keyId, alg, wrapped: hexToBytes(vector.wrapped) };
    const record = writer.join(writer.standaloneParts(writer.keyRecordParts(keyCommit, [recipient])));
    const keks: readonly ReaderKek[] = [[{ provider, keyId, alg, secret: new Uint8Array(0), ...kek }]];
    return check(file, vector, dataKey, (slip) => readKeyRecord(record, { keks, keyContext, context: [] }, slip));
  };
  return [
    ...local.vectors.map((vector) => one("local wraps", vector, vector.provider, 1, { secret: hexToBytes(vector.kek) })),
    ...hpke.vectors.map((vector) =>
      one("HPKE wraps", vector, "local", vector.alg, { secret: hexToBytes(hpke.shared.keyPairs[vector.keyId]?.secretKey ?? "") }),
    ),
    ...other.vectors.map((vector) => {
      const { alg = 0, aes = "", rsa } = other.shared.keks[vector.keyId] ?? {};
      return one("other wraps", vector, other.shared.provider, vector.alg, {
        alg,
        secret: hexToBytes(aes),
        ...(rsa !== undefined && { rsa }),
      });
    }),
  ];
}

/** Each composite wrap as the only recipient of a key record. */
function composites(): readonly Check[] {
  const { shared, vectors } = readVectors<CompositeVector, SharedComposites>("composite-wraps.json");
  const version = (keyId: string): ReaderKek[number] => ({
    provider: "local",
    keyId,
    alg: 1,
    secret: hexToBytes(shared.keks[keyId] ?? ""),
  });
  return vectors.map((vector) => {
    const { alg, keyId, keyContext, dataKey } = vector;
    const { keyCommit } = writer.derive(hexToBytes(dataKey), writer.encodeContext(keyContext));
    const kind = alg === 11 ? "both" : "threshold";
    const recipient = { provider: kind, keyId, alg, wrapped: hexToBytes(vector.wrapped) };
    const record = writer.join(writer.standaloneParts(writer.keyRecordParts(keyCommit, [recipient])));
    const { name, keys } = shared[kind];
    const composite = { kind, name, needed: shared.threshold.needed, keys: keys.map(version) } as const;
    const keks: readonly ReaderKek[] = [[{ provider: kind, keyId, alg, secret: new Uint8Array(0), composite }]];
    return check("composite wraps", vector, dataKey, (slip) => readKeyRecord(record, { keks, keyContext, context: [] }, slip));
  });
}

function envelopes(): readonly Check[] {
  const { shared, vectors } = readVectors<EnvelopeVector, SharedKeks>("envelopes.json");
  return vectors.map((vector) => {
    const place = { ...vector, keks: keksOf(shared, vector.unwrapWith) };
    const [header, body] =
      vector.envelope === undefined ? [bytesOf(vector.header ?? ""), bytesOf(vector.body ?? "")] : [bytesOf(vector.envelope)];
    return check("envelopes", vector, vector.plaintext, (slip) => readEnvelope(header, body, place, slip));
  });
}

function ranges(): readonly Check[] {
  const { shared, vectors } = readVectors<RangeVector, SharedHeader>("ranges.json");
  return vectors.map((vector) => {
    const { from, to, start = 0, bytes = 0 } = vector;
    const place = { ...vector, keks: keksOf(shared, shared.unwrapWith) };
    const plaintext = bytesToHex(Uint8Array.from({ length: bytes }, (_, at) => (start + at) % 251));
    return check("ranges", vector, plaintext, (slip) => readRange(hexToBytes(shared.header), sourceOf(vector), from, to, place, slip));
  });
}

/** Bytes that the vector does not have are missing, as those of a stub would be. */
function sourceOf({ file, pieces = [], bodyBytes }: RangeVector): RangeSource {
  const whole = file === undefined ? undefined : readFileSync(new URL(file, VECTORS));
  return {
    bodyBytes,
    read(start, end) {
      if (whole !== undefined) return Uint8Array.from(whole.subarray(start, Math.min(end, bodyBytes)));
      const piece = pieces.find(([offset, bytes]) => offset <= start && end <= offset + bytes.length / 2);
      return piece === undefined ? new Uint8Array(0) : hexToBytes(piece[1]).subarray(start - piece[0], end - piece[0]);
    },
  };
}

/** But those of 257 chunks, which `ranges.json` stands for: they would take seconds each. */
function bodies(): readonly Check[] {
  const { shared, vectors } = readVectors<BodyVector, SharedHeader>("bodies.json");
  const bodyCalled = (name: string): Uint8Array => bodyOf(shared, vectors, name, bodyCalled);
  return vectors
    .filter(({ plaintextBytes = 0 }) => plaintextBytes < 100_000)
    .map((vector) => {
      const place = { ...vector, keks: keksOf(shared, shared.unwrapWith) };
      const body = bodyCalled(vector.name);
      const plaintext = bytesToHex(patterned(vector.plaintextBytes ?? 0));
      return check("bodies", vector, plaintext, (slip) => readEnvelope(hexToBytes(shared.header), body, place, slip));
    });
}

function bodyOf(
  { dataKey }: SharedHeader,
  vectors: VectorFile<BodyVector>["vectors"],
  name: string,
  bodyCalled: (name: string) => Uint8Array,
): Uint8Array {
  const vector = vectors.find((candidate) => candidate.name === name);
  if (vector === undefined) throw new Error(`no body is called ${name}`);
  if (vector.body !== undefined) return bytesOf(vector.body, bodyCalled);
  if (vector.file !== undefined) return Uint8Array.from(readFileSync(new URL(vector.file, VECTORS)));
  const keys = writer.derive(hexToBytes(dataKey), writer.encodeContext(vector.keyContext));
  const valueContext = writer.encodeContext([...vector.keyContext, ...vector.context]);
  return writer.join(writer.bodyParts(keys, hexToBytes(vector.salt ?? ""), valueContext, patterned(vector.plaintextBytes ?? 0)));
}

function keksOf({ keks }: SharedKeks, names: readonly (string | readonly string[])[]): readonly ReaderKek[] {
  const version = (keyId: string): ReaderKek[number] => ({ provider: "local", keyId, alg: 1, secret: hexToBytes(keks[keyId] ?? "") });
  return names.map((kek) => (typeof kek === "string" ? [kek] : kek).map(version));
}
