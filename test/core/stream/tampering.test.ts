import { createHash } from "node:crypto";
import { inflateSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createLanePool } from "#lanes";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import { SALT_BYTES } from "../../../src/core/contracts/suite.ts";
import { BODY_PREFIX_BYTES, deriveBodyKeys } from "../../../src/core/crypto/cobblestone.ts";
import { chunkJob } from "../../../src/core/stream/chunk-job.ts";
import type { StreamLanes } from "../../../src/core/stream/lanes/lanes.ts";
import { pumpChunks } from "../../../src/core/stream/pump.ts";
import {
  collect,
  collectStream,
  collectUntilFailure,
  cutsWithin,
  patterned,
  piecesOf,
  streamOf,
  testKeyring,
} from "../../support/pieces.ts";
import { describeVectors, hex, type WycheproofTest, wycheproof } from "../../support/vectors.ts";

const CHUNK = 16384;
const SEALED = 16400;

// docs/format.md §6: verified chunks alone come out, and what is wrong with the rest never ends in a clean end

describeVectors("Cobblestone-256 through the streams", () => {
  test("35 vectors, cut at every boundary and at random, open or end in an error after at most the published prefix", async () => {
    const outcomes = { opened: 0, refused: 0 };
    for (const vector of cobblestoneVectors()) {
      const body = new Uint8Array(inflateSync(hex(vector.ct)));
      const samples = [[], boundaryCuts(body.length, -1), boundaryCuts(body.length, 0), boundaryCuts(body.length, 1)];
      samples.push(...fc.sample(cutsWithin(body.length, SEALED), 3));
      for (const cuts of samples) {
        const { bytes, error } = await collectUntilFailure(openOneByOne(vector, body, cuts));
        expect(error === undefined, vector.comment).toBe(vector.result === "valid");
        if (error !== undefined) expect(error, vector.comment).toBeInstanceOf(EnvelockError);
        expect(bytes.length, vector.comment).toBe(vector.msgLength ?? 0);
        if (vector.msgSha512 !== undefined) expect(createHash("sha512").update(bytes).digest("hex")).toBe(vector.msgSha512);
      }
      outcomes[vector.result === "valid" ? "opened" : "refused"]++;
    }
    expect(outcomes).toEqual({ opened: 10, refused: 25 });
  });

  test("sealed through the streams, the valid ones have the published bytes", async () => {
    const valid = cobblestoneVectors().filter(({ result }) => result === "valid");
    for (const vector of valid) {
      const body = new Uint8Array(inflateSync(hex(vector.ct)));
      const plaintext = await collect(openOneByOne(vector, body, []));
      const keys = deriveBodyKeys(hex(vector.key), body.subarray(0, SALT_BYTES), hex(vector.ctx));
      for (const cuts of fc.sample(cutsWithin(plaintext.length, CHUNK), 4)) {
        const job = chunkJob("seal", keys);
        const sealed = await collect(pumpChunks(piecesOf(plaintext, cuts), job, createLanePool().join(job, keys, {})));
        expect(Buffer.compare(sealed, body.subarray(BODY_PREFIX_BYTES)), vector.comment).toBe(0);
      }
    }
    expect(valid).toHaveLength(10);
  });
});

describe("an envelope that was changed on its way", () => {
  test("cut short anywhere, it ends in an error and gives at most a true prefix", async () => {
    const { keyring, plaintext, envelope } = await sample(3 * CHUNK + 100);
    const bodyStart = envelope.length - 3 * SEALED - 116 - BODY_PREFIX_BYTES;
    const boundaries = [bodyStart, bodyStart + 24, bodyStart + 56, ...[1, 2, 3].map((chunk) => bodyStart + 56 + chunk * SEALED)];
    const lengths = new Set([...boundaries.flatMap((at) => [at - 1, at, at + 1, at + 15, at + 16]), 0, 1, 7, 8, 9, envelope.length - 1]);
    for (const length of lengths) {
      const { bytes, error } = await collectUntilFailure(keyring.decryptPieces(piecesOf(envelope.slice(0, length))));
      expect(codeOf(error), `${length} bytes`).toMatch(/^(malformed-envelope|authentication-failed)$/);
      expect(Buffer.compare(bytes, plaintext.subarray(0, bytes.length))).toBe(0);
    }
  });

  test("cut short between chunks, it is called cut short", async () => {
    const { keyring, envelope } = await sample(2 * CHUNK);
    const { error } = await collectUntilFailure(keyring.decryptPieces(piecesOf(envelope.slice(0, -16))));
    expect(codeOf(error)).toBe("malformed-envelope");
  });

  test.each([1, 16, SEALED])("followed by %i more bytes, it ends in an error", async (extra) => {
    const { keyring, envelope } = await sample(CHUNK + 5);
    const { error } = await collectUntilFailure(keyring.decryptPieces(piecesOf(Buffer.concat([envelope, new Uint8Array(extra)]))));
    expect(codeOf(error)).toBe("authentication-failed");
  });

  test.each<[string, (chunks: Uint8Array[], other: Uint8Array[]) => (Uint8Array | undefined)[]]>([
    ["two chunks swapped", ([a, b, ...rest]) => [b, a, ...rest]],
    ["a chunk twice", ([a, b, ...rest]) => [a, a, b, ...rest]],
    ["a chunk in place of its neighbour", ([a, , ...rest]) => [a, a, ...rest]],
    ["a chunk missing", ([a, , ...rest]) => [a, ...rest]],
    ["the last chunk in the middle", ([a, b, c, last]) => [a, last, b, c]],
    ["a chunk of another stream under the same keyring", ([a, , ...rest], [, b]) => [a, b, ...rest]],
    ["the end of another stream", ([a, b, c], other) => [a, b, c, other.at(-1)]],
  ])("%s: an error, never a clean end", async (_, change) => {
    const { keyring, plaintext, envelope } = await sample(3 * CHUNK + 100);
    const other = await sample(3 * CHUNK + 100, 2);
    const start = envelope.length - 3 * SEALED - 116;
    const changed = change(chunksOf(envelope.subarray(start)), chunksOf(other.envelope.subarray(start))).map(
      (part) => part ?? new Uint8Array(0),
    );
    const { bytes, error } = await collectUntilFailure(
      keyring.decryptPieces(piecesOf(Buffer.concat([envelope.subarray(0, start), ...changed]))),
    );
    expect(codeOf(error)).toBe("authentication-failed");
    expect(Buffer.compare(bytes, plaintext.subarray(0, bytes.length))).toBe(0);
  });

  test("another stream's header, salt or commitment: refused before anything comes out", async () => {
    const { keyring, envelope } = await sample(CHUNK + 1);
    const other = await sample(CHUNK + 1, 2);
    const bodyStart = envelope.length - SEALED - 17 - BODY_PREFIX_BYTES;
    const parts = [0, bodyStart, bodyStart + 24, bodyStart + 56, envelope.length];
    for (let part = 0; part < 3; part++) {
      const changed = envelope.slice();
      changed.set(other.envelope.subarray(parts[part], parts[part + 1]), parts[part]);
      const { bytes, error } = await collectUntilFailure(keyring.decryptPieces(piecesOf(changed)));
      expect(codeOf(error)).toBe("authentication-failed");
      expect(bytes.length).toBe(0);
    }
  });

  test("any flipped bit ends in an error, through web streams too", async () => {
    const { keyring, plaintext, envelope } = await sample(CHUNK + 50);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: envelope.length * 8 - 1 }),
        fc.integer({ min: 1, max: 20_000 }),
        async (bit, pieceBytes) => {
          const changed = envelope.slice();
          const byte = changed[bit >> 3] ?? 0;
          changed[bit >> 3] = byte ^ (1 << (bit & 7));
          const parts: Uint8Array[] = [];
          const sink = new WritableStream<Uint8Array>({ write: (part) => void parts.push(part) });
          const outcome = await streamOf(changed, pieceBytes)
            .pipeThrough(keyring.decryptStream())
            .pipeTo(sink)
            .catch((error: unknown) => error);
          expect(outcome).toBeInstanceOf(EnvelockError);
          const bytes = Buffer.concat(parts);
          expect(bytes.compare(plaintext.subarray(0, bytes.length))).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("the wrong context or keyring: refused, nothing comes out", async () => {
    const { keyring, envelope } = await sample(CHUNK);
    const wrong = [
      keyring.decryptPieces(piecesOf(envelope), { context: { a: "b" } }),
      testKeyring({ tenant: "b" }).decryptPieces(piecesOf(envelope)),
    ];
    for (const pieces of wrong) {
      const { bytes, error } = await collectUntilFailure(pieces);
      expect([bytes.length, codeOf(error)]).toEqual([0, "authentication-failed"]);
    }
  });

  test("what is no envelope is refused with the code of `decrypt`, and a huge stated header takes no memory", async () => {
    const keyring = testKeyring();
    const { envelope } = await sample(10);
    const versioned = envelope.slice();
    versioned[1] = 2;
    const cases: [Uint8Array, string][] = [
      [new Uint8Array(0), "malformed-envelope"],
      [new Uint8Array(100), "malformed-envelope"],
      [versioned, "unsupported-version"],
      [Uint8Array.of(0x9e, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, ...new Uint8Array(100)), "malformed-envelope"],
    ];
    for (const [bytes, code] of cases) {
      expect(codeOf((await collectUntilFailure(keyring.decryptPieces(piecesOf(bytes)))).error)).toBe(code);
    }
  });
});

async function sample(size: number, seed = 1) {
  const keyring = testKeyring();
  const plaintext = patterned(size, seed);
  return { keyring, plaintext, envelope: await collectStream(streamOf(plaintext).pipeThrough(keyring.encryptStream())) };
}

function codeOf(error: unknown): string {
  return error instanceof EnvelockError ? error.code : `no EnvelockError: ${error}`;
}

function chunksOf(sealed: Uint8Array): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < sealed.length; at += SEALED) chunks.push(sealed.slice(at, at + SEALED));
  return chunks;
}

interface CobblestoneVector extends WycheproofTest {
  readonly key: string;
  readonly ctx: string;
  readonly ct: string;
  readonly msgLength?: number;
  readonly msgSha512?: string;
}

function cobblestoneVectors(): CobblestoneVector[] {
  return wycheproof<CobblestoneVector>("c2sp_chunked_encryption_aes_256_gcm");
}

function boundaryCuts(length: number, beside: number): number[] {
  const cuts = [24 + beside, 56 + beside];
  for (let at = BODY_PREFIX_BYTES + SEALED; at < length && cuts.length < 300; at += SEALED) cuts.push(at + beside);
  return cuts;
}

/** A chunk at a time, so that exactly the chunks before a bad one come out. */
async function* openOneByOne(
  vector: CobblestoneVector,
  body: Uint8Array,
  cuts: readonly number[],
): AsyncGenerator<Uint8Array, void, undefined> {
  const keys = deriveBodyKeys(hex(vector.key), body.subarray(0, SALT_BYTES), hex(vector.ctx));
  if (Buffer.compare(keys.commitment, body.subarray(SALT_BYTES, BODY_PREFIX_BYTES)) !== 0) {
    throw new EnvelockError("authentication-failed", "the commitment does not fit");
  }
  const job = chunkJob("open", keys);
  const shifted = cuts.map((cut) => Math.max(0, cut - BODY_PREFIX_BYTES));
  yield* pumpChunks(
    piecesOf(body.subarray(BODY_PREFIX_BYTES), shifted),
    job,
    new OneChunkLanes(createLanePool().join(job, keys, { lanes: 1 }), job.chunkBytes),
  );
}

/** The lanes of this engine, with batches of one chunk. */
class OneChunkLanes implements StreamLanes {
  readonly batchChunks = 1;
  readonly maxInFlight = 1;
  readonly #lanes: StreamLanes;
  readonly #chunkBytes: number;

  constructor(lanes: StreamLanes, chunkBytes: number) {
    this.#lanes = lanes;
    this.#chunkBytes = chunkBytes;
  }

  reserve() {
    const lane = this.#lanes.reserve();
    return lane && { ...lane, input: lane.input.subarray(0, this.#chunkBytes) };
  }

  turn() {
    return this.#lanes.turn();
  }

  leave(): void {
    this.#lanes.leave();
  }
}
