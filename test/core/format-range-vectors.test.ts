import { readFileSync } from "node:fs";
import { hexToBytes } from "@noble/hashes/utils.js";
import { describe, expect, test } from "vitest";
import type { SeekableSource } from "../../src/index.ts";
import type { SharedHeader } from "../format/body-vectors.ts";
import { counted, keyringOf, mapOf, outcomeOf, titleOf } from "../format/outcomes.ts";
import type { RangeVector } from "../format/range-vectors.ts";
import { readVectors, VECTORS } from "../format/read-vectors.ts";
import { hex, type Vector } from "../format/vector-file.ts";

// docs/vectors/ranges.json: docs/format.md §6.1

describe("ranges", () => {
  const { shared, vectors } = readVectors<RangeVector, SharedHeader>("ranges.json");
  counted(vectors, 23, 11);
  for (const vector of vectors) {
    test(titleOf(vector), async () => {
      const keyring = keyringOf(shared, { ...vector, unwrapWith: shared.unwrapWith });
      const read = await outcomeOf(async () => {
        const blob = await keyring.openSeekable(sourceOf(hexToBytes(shared.header), vector), { context: mapOf(vector.context) });
        return await blob.read(vector.from, vector.to);
      });
      const { start = 0, bytes = 0 } = vector;
      const plaintext = Uint8Array.from({ length: bytes }, (_, at) => (start + at) % 251);
      expect(read).toEqual(vector.error === undefined ? { bytes: hex(plaintext) } : { error: vector.error });
    });
  }
});

/** Gives the header and those parts of the body that the vector has; a read of any other is an error of the test. */
function sourceOf(header: Uint8Array, { file, pieces, bodyBytes }: Vector<RangeVector>): SeekableSource {
  const whole = file === undefined ? undefined : readFileSync(new URL(file, VECTORS)).subarray(0, bodyBytes);
  const parts = whole === undefined ? (pieces ?? []).map(([at, bytes]) => ({ at, bytes: hexToBytes(bytes) })) : [{ at: 0, bytes: whole }];
  const known = [{ at: 0, bytes: header }, ...parts.map(({ at, bytes }) => ({ at: at + header.length, bytes }))];
  return {
    size: header.length + bodyBytes,
    async read(start, end) {
      const wanted = new Uint8Array(end - start);
      let filled = 0;
      for (const { at, bytes } of known) {
        const part = bytes.subarray(Math.max(0, start - at), Math.max(0, end - at));
        if (part.length > 0) wanted.set(part, Math.max(0, at - start));
        filled += part.length;
      }
      expect(filled).toBe(wanted.length);
      return wanted;
    },
  };
}
