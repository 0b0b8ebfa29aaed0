import { hkdfSync } from "node:crypto";
import { afterEach, describe, expect, test, vi } from "vitest";
import { engine } from "#engine";
import { concatBytes } from "../../../src/core/base/bytes.ts";
import { hkdfExpand, hkdfExtract } from "../../../src/core/crypto/hkdf.ts";
import { noise } from "../../support/arbitraries.ts";
import { refusalCode } from "../../support/refusal.ts";
import { describeVectors, hex, type WycheproofTest, wycheproof } from "../../support/vectors.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

describeVectors("HMAC and HKDF with SHA-512 (Wycheproof)", () => {
  test("HMAC-SHA-512: 174 tags, whole and truncated", () => {
    const all = wycheproof<MacTest, { tagSize: number }>("hmac_sha512");
    for (const { tcId, key, msg, tag, tagSize, result } of all) {
      const computed = engine.hmac("sha512", hex(key), hex(msg)).subarray(0, tagSize / 8);
      expect(engine.timingSafeEqual(computed, hex(tag)), `${tcId}`).toBe(result === "valid");
    }
    expect(all).toHaveLength(174);
  });

  test("HKDF-SHA-512: 80 outputs, and 3 that are longer than 255 blocks", async () => {
    const counts: Record<string, number> = {};
    for (const { tcId, ikm, salt, info, size, okm, result } of wycheproof<HkdfTest>("hkdf_sha512")) {
      const derive = (): Uint8Array => hkdfExpand("sha512", hkdfExtract("sha512", hex(salt), hex(ikm)), [hex(info)], size);
      if (result === "valid") expect(Buffer.from(derive()).toString("hex"), `${tcId}`).toBe(okm);
      else expect(await refusalCode(derive), `${tcId}`).toBe("invalid-argument");
      counts[result] = (counts[result] ?? 0) + 1;
    }
    expect(counts).toEqual({ valid: 80, invalid: 3 });
  });
});

describe.each(["sha256", "sha512"] as const)("HKDF with %s, beside node:crypto", (hash) => {
  const block = hash === "sha256" ? 32 : 64;
  const info = [noise(3), noise(5)];

  test.each([0, 1, 2, block - 1, block, block + 1, 2 * block, 2 * block + 1])("takes a salt of %d bytes", (saltBytes) => {
    const salt = noise(saltBytes);
    const derived = hkdfExpand(hash, hkdfExtract(hash, salt, noise(7)), info, 42);
    expect(Buffer.from(derived)).toEqual(Buffer.from(hkdfSync(hash, noise(7), salt, concatBytes(...info), 42)));
  });

  test.each([
    1,
    block - 1,
    block,
    block + 1,
    2 * block - 1,
    2 * block,
    2 * block + 1,
    255 * block,
  ])("gives %d bytes, by no block too many", (bytes) => {
    const key = hkdfExtract(hash, noise(block), noise(7));
    const hmac = vi.spyOn(engine, "hmac");
    const derived = hkdfExpand(hash, key, info, bytes);
    expect(hmac).toHaveBeenCalledTimes(Math.ceil(bytes / block));
    expect(Buffer.from(derived)).toEqual(Buffer.from(hkdfSync(hash, noise(7), noise(block), concatBytes(...info), bytes)));
  });

  test("gives no more than 255 blocks", async () => {
    expect(await refusalCode(() => hkdfExpand(hash, noise(block), info, 255 * block + 1))).toBe("invalid-argument");
  });
});

interface MacTest extends WycheproofTest {
  readonly key: string;
  readonly msg: string;
  readonly tag: string;
}

interface HkdfTest extends WycheproofTest {
  readonly ikm: string;
  readonly salt: string;
  readonly info: string;
  readonly size: number;
  readonly okm: string;
}
