import { expect, test } from "vitest";
import { refusalCode } from "../support/refusal.ts";
import { describeVectors } from "../support/vectors.ts";
import { badBlobs, blobRanges, bodyOf, goodBlobs, plaintextOf, sha256, vectorEncryption } from "./azure-storage-vectors.ts";

describeVectors("Azure Storage client-side encryption: fixtures", () => {
  test("every blob that Microsoft's client or a derived writer made opens, whole and as a stream", async () => {
    const encryption = vectorEncryption();
    const blobs = goodBlobs();
    expect(blobs).toHaveLength(70);
    for (const blob of blobs) {
      const [body, { metadata }] = [bodyOf(blob), blob];
      expect({ name: blob.name, bytes: body.length, sha256: sha256(body) }).toEqual({
        name: blob.name,
        bytes: blob.bodyBytes,
        sha256: blob.bodySha256,
      });
      const plaintext = await encryption.decrypt({ metadata, body }, { expectedBytes: blob.plaintextBytes });
      expect({ name: blob.name, sha256: sha256(plaintext) }).toEqual({ name: blob.name, sha256: blob.plaintextSha256 });
      const stream = await encryption.decryptStream({ metadata, body: new Blob([body]).stream() }, { expectedBytes: blob.plaintextBytes });
      const streamed = new Uint8Array(await new Response(stream).arrayBuffer());
      expect({ name: blob.name, sha256: sha256(streamed) }).toEqual({ name: blob.name, sha256: blob.plaintextSha256 });
    }
  });

  test("every broken blob ends in its class, whole and as a stream", async () => {
    const encryption = vectorEncryption();
    const blobs = badBlobs();
    const bases = new Map(goodBlobs().map((blob) => [blob.name, blob]));
    const ends = { opens: 0, undetected: 0, refused: 0 };
    for (const { name, base, expect: expected, metadata, body: base64 } of blobs) {
      const body = new Uint8Array(Buffer.from(base64, "base64"));
      const whole = async (): Promise<Uint8Array> => await encryption.decrypt({ metadata, body });
      const streamed = async (): Promise<Uint8Array> => {
        const stream = await encryption.decryptStream({ metadata, body: new Blob([body]).stream() }, { storedBytes: body.length });
        return new Uint8Array(await new Response(stream).arrayBuffer());
      };
      for (const read of [whole, streamed]) {
        if (expected === "opens" || expected === "undetected") {
          const plaintext = await read();
          const length = bases.get(base)?.plaintextBytes;
          expect(length, `${name} has its base`).toBeDefined();
          const isSame = Buffer.from(plaintext).equals(plaintextOf(length ?? 0));
          expect({ name, isSame }).toEqual({ name, isSame: expected === "opens" });
        } else {
          expect({ name, code: await refusalCode(read) }).toEqual({ name, code: expected });
        }
      }
      ends[expected === "opens" || expected === "undetected" ? expected : "refused"]++;
    }
    expect(blobs).toHaveLength(61);
    expect(ends).toEqual({ opens: 3, undetected: 5, refused: 53 });
  });

  test("a stream of 1.0 whose length is not known in advance is refused when it ends within a block, or at once", async () => {
    const encryption = vectorEncryption();
    const cut = badBlobs().filter(({ name }) => ["v1-cut-in-block", "v1-empty-body"].includes(name));
    expect(cut).toHaveLength(2);
    for (const { metadata, body } of cut) {
      const stream = await encryption.decryptStream({ metadata, body: new Blob([Buffer.from(body, "base64")]).stream() });
      expect(await refusalCode(() => new Response(stream).arrayBuffer())).toBe("malformed-envelope");
    }
  });

  test("a length from elsewhere finds what the format does not show", async () => {
    const encryption = vectorEncryption();
    const cut = badBlobs().filter(({ name }) => ["last-region-dropped", "last-two-regions-dropped", "emptied"].includes(name));
    expect(cut).toHaveLength(3);
    for (const { metadata, body: base64 } of cut) {
      const body = new Uint8Array(Buffer.from(base64, "base64"));
      expect(await refusalCode(() => encryption.decrypt({ metadata, body }, { expectedBytes: 100 }))).toBe("malformed-envelope");
      const stream = await encryption.decryptStream({ metadata, body: new Blob([body]).stream() }, { expectedBytes: 100 });
      expect(await refusalCode(() => new Response(stream).arrayBuffer())).toBe("malformed-envelope");
    }
  });

  test("every range gives the right bytes, and fetches what Microsoft's reader does", async () => {
    const encryption = vectorEncryption();
    const bases = new Map(goodBlobs().map((blob) => [blob.name, blob]));
    const ranges = blobRanges();
    expect(ranges).toHaveLength(62);
    let wrongAtMicrosoft = 0;
    const bodies = new Map<string, Uint8Array<ArrayBuffer>>();
    for (const { name, start, end, fetchFirst, fetchLast, sha256: right, microsoftGives } of ranges) {
      const base = bases.get(name);
      if (base === undefined) return expect.fail(`${name} has no base`);
      const body = bodies.get(name) ?? bodyOf(base);
      bodies.set(name, body);
      const reads: [number, number][] = [];
      const source = {
        metadata: base.metadata,
        size: body.length,
        read: async (from: number, to: number) => {
          reads.push([from, to]);
          return body.subarray(from, to);
        },
      };
      const blob = await encryption.open(source);
      const plaintext = await blob.read(start, end);
      expect({ name, start, end, sha256: sha256(plaintext) }).toEqual({ name, start, end, sha256: right });
      const asked = reads.at(-1);
      if (blob.protocol !== "1.0" && start < end)
        expect({ name, start, end, asked }).toEqual({ name, start, end, asked: [fetchFirst, Math.min(fetchLast + 1, body.length)] });
      const streamed = new Uint8Array(await new Response(blob.stream(start, end)).arrayBuffer());
      expect({ name, start, end, sha256: sha256(streamed) }).toEqual({ name, start, end, sha256: right });
      expect(await blob.size()).toBe(base.plaintextBytes);
      if (microsoftGives !== "right") wrongAtMicrosoft++;
    }
    expect(wrongAtMicrosoft).toBeGreaterThan(0);
  });

  test("1.0 is refused unless it is asked for, before any key is used", async () => {
    const encryption = vectorEncryption(false);
    const old = goodBlobs().filter(({ protocol }) => protocol === "1.0");
    expect(old.length).toBeGreaterThan(0);
    for (const blob of old) {
      expect(await refusalCode(() => encryption.decrypt({ metadata: blob.metadata, body: bodyOf(blob) }))).toBe("unsupported-version");
    }
  });
});
