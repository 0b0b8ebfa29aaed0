import { describe, expect, test } from "vitest";
import { copyOf } from "../../src/core/base/bytes.ts";
import { recordCodec } from "../../src/fields/record.ts";
import { CODECS, type Codec, type ValueType } from "../../src/fields/values.ts";
import { CBOR_SAMPLES } from "../format/cbor-values.ts";
import type { FieldType, FieldVector } from "../format/field-vectors.ts";
import { counted, outcomeOf, titleOf } from "../format/outcomes.ts";
import { readVectors } from "../format/read-vectors.ts";
import type { Vector } from "../format/vector-file.ts";

// docs/vectors/fields.json: docs/format.md §5.2

describe("typed values", () => {
  const { vectors } = readVectors<FieldVector>("fields.json");
  counted(vectors, 69, 55);
  for (const vector of vectors) {
    const { plaintext, value, error } = vector;
    test(titleOf(vector), async () => {
      const codec = codecOf(vector);
      if (value !== undefined) {
        const encoded = await outcomeOf(() => bytesOf(codec, givenValue(vector.type, value, vector.columns)));
        expect(encoded).toEqual(error === undefined ? { bytes: plaintext } : { error });
      }
      if (plaintext === undefined) return;
      const bytes = Uint8Array.from(Buffer.from(plaintext, "hex"));
      if (error !== undefined) expect(await outcomeOf(() => codec.decode(bytes))).toEqual({ error });
      else expect(codec.decode(bytes)).toStrictEqual(givenValue(vector.type, value, vector.columns));
    });
  }
});

function codecOf({ type, columns = {} }: Vector<FieldVector>): Codec<unknown> {
  if (type !== "record") return CODECS[type];
  return recordCodec(Object.fromEntries(Object.entries(columns).flatMap(([name, of]) => (isValueType(of) ? [[name, of]] : []))));
}

function isValueType(type: FieldType): type is ValueType {
  return type !== "record";
}

/** A value as a program has it. */
function givenValue(type: FieldType, value: unknown, columns: FieldVector["columns"] = {}): unknown {
  if (value === null) return null;
  if (type === "bytes") return Uint8Array.from(Buffer.from(String(value), "hex"));
  if (type === "number") return Buffer.from(String(value), "hex").readDoubleBE();
  if (type === "bigint") return BigInt(String(value));
  if (type === "date") return new Date(Number(value));
  if (type === "cbor") return CBOR_SAMPLES.find(({ diagnostic }) => diagnostic === value)?.value;
  if (type !== "record" || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, givenValue(columns[name] ?? "string", member)]));
}

function bytesOf(codec: Codec<unknown>, value: unknown): Uint8Array<ArrayBuffer> {
  return codec.withBytes(value, copyOf);
}
