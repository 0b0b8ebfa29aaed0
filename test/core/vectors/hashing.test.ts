import { expect, test } from "vitest";
import { engine } from "#engine";
import { hkdfExpand, hkdfExtract } from "../../../src/core/crypto/hkdf.ts";
import { refusalCode } from "../../support/refusal.ts";
import { describeVectors, hex, type WycheproofTest, wycheproof } from "../../support/vectors.ts";

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
