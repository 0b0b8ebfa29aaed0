import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { Xaes256Gcm } from "../../../src/core/crypto/xaes.ts";
import { describeVectors, hex, vectors } from "../../support/vectors.ts";

describeVectors("XAES-256-GCM (C2SP)", () => {
  test("both vectors seal and open", () => {
    const { tests } = xaesFile();
    for (const { tcId, key, nonce, aad, msg, ct } of tests) {
      const cipher = new Xaes256Gcm(hex(key));
      const sealed = new Uint8Array(ct.length / 2 + 2);
      cipher.dangerSealWithNonce(hex(nonce), hex(aad), hex(msg), sealed, 1);
      expect(Buffer.from(sealed).toString("hex"), `${tcId}`).toBe(`00${ct}00`);
      expect(cipher.open(hex(aad), hex(nonce + ct)), `${tcId}`).toEqual(hex(msg));
    }
    expect(tests).toHaveLength(2);
  });

  test("10,000 accumulated iterations", () => {
    const iterations = 10_000;
    const random = shakeReader(iterations * MAX_BYTES_PER_ITERATION);
    const sink = createHash("shake128", { outputLength: 32 });
    for (let iteration = 0; iteration < iterations; iteration++) {
      const cipher = new Xaes256Gcm(random(32));
      const nonce = random(24);
      const plaintext = random(random(1)[0] ?? 0);
      const aad = random(random(1)[0] ?? 0);
      const sealed = new Uint8Array(plaintext.length + 16);
      cipher.dangerSealWithNonce(nonce, aad, plaintext, sealed, 0);
      sink.update(sealed);
      if (Buffer.compare(cipher.open(aad, Buffer.concat([nonce, sealed])) ?? sealed, plaintext) !== 0)
        expect.fail(`iteration ${iteration} does not open`);
    }
    expect(sink.digest("hex")).toBe(xaesFile().accumulated.results[`${iterations}`]);
  });
});

interface XaesFile {
  readonly tests: readonly { tcId: number; key: string; nonce: string; aad: string; msg: string; ct: string }[];
  readonly accumulated: { readonly results: Readonly<Record<string, string>> };
}

function xaesFile(): XaesFile {
  return vectors<XaesFile>("c2sp/xaes-256-gcm.json");
}

/** SHAKE-128 of nothing, read piece by piece. */
function shakeReader(outputLength: number): (bytes: number) => Uint8Array {
  const stream = new Uint8Array(createHash("shake128", { outputLength }).digest());
  let offset = 0;
  return (bytes) => {
    offset += bytes;
    return stream.subarray(offset - bytes, offset);
  };
}

const MAX_BYTES_PER_ITERATION = 32 + 24 + 2 * 256;
