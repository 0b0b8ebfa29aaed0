import { createSecretKey } from "node:crypto";
import { expect, test } from "vitest";
import { engine } from "#engine";
import { blockKeyWrap } from "../../../src/core/crypto/engine/node-key-wrap.ts";
import { hexOf } from "../../support/bytes.ts";
import { refusalCode } from "../../support/refusal.ts";
import { describeVectors, hex, type WycheproofTest, wycheproof } from "../../support/vectors.ts";

describeVectors("AES primitives of the engine (Wycheproof)", () => {
  test("AES-GCM with 96-bit nonces, 128-bit tags, keys of 16 and 32 bytes", () => {
    const counts: Record<string, number> = {};
    for (const { tcId, key, iv, aad, msg, ct, tag, result, ...group } of wycheproof<GcmTest, GcmGroup>("aes_gcm")) {
      if (group.ivSize !== 96 || group.tagSize !== 128 || group.keySize === 192) continue;
      const opened = engine.gcm.open(hex(key), hex(iv), hex(aad), hex(ct + tag));
      expect(opened, `open ${tcId}`).toEqual(result === "valid" ? hex(msg) : undefined);
      if (result === "valid") {
        const sealed = new Uint8Array(msg.length / 2 + 16 + 2);
        engine.gcm.seal(hex(key), hex(iv), hex(aad), hex(msg), sealed, 1);
        expect(hexOf(sealed), `seal ${tcId}`).toBe(`00${ct}${tag}00`);
      }
      const name = `${group.keySize} ${result}`;
      counts[name] = (counts[name] ?? 0) + 1;
    }
    expect(counts).toEqual({ "128 valid": 40, "128 invalid": 27, "256 valid": 39, "256 invalid": 27 });
  });

  test("AES-SIV, keys of 32, 48 and 64 bytes", () => {
    const counts: Record<string, number> = {};
    for (const { tcId, key, aad, msg, ct, result, keySize } of wycheproof<SivTest, { keySize: number }>("aes_siv_cmac")) {
      const siv = engine.siv(hex(key));
      expect(siv.open([hex(aad)], hex(ct)), `open ${tcId}`).toEqual(result === "valid" ? hex(msg) : undefined);
      if (result === "valid") expect(hexOf(siv.seal([hex(aad)], hex(msg))), `seal ${tcId}`).toBe(ct);
      counts[keySize] = (counts[keySize] ?? 0) + 1;
    }
    expect(counts).toEqual({ 256: 148, 384: 147, 512: 147 });
  });

  test.each([
    ["the engine's", engine.keyWrap],
    ["over single blocks, for runtimes without it", blockKeyWrap(createSecretKey)],
  ])("AES key wrap, %s, with keys of 8 bytes refused: RFC 3394 §2 takes two blocks or more", async (_, keyWrap) => {
    const counts: Record<string, number> = {};
    for (const { tcId, key, msg, ct, result, flags } of wycheproof<WrapTest>("aes_wrap")) {
      expect(keyWrap.open(hex(key), hex(ct)), `open ${tcId}`).toEqual(result === "valid" ? hex(msg) : undefined);
      if (result === "valid") expect(hexOf(keyWrap.wrap(hex(key), hex(msg))), `wrap ${tcId}`).toBe(ct);
      if (flags.some((flag) => REFUSED_TO_WRAP.has(flag))) {
        expect(await refusalCode(() => keyWrap.wrap(hex(key), hex(msg))), `wrap ${tcId}`).toBe("invalid-argument");
      }
      counts[result] = (counts[result] ?? 0) + 1;
    }
    expect(counts).toEqual({ valid: 36, invalid: 126, acceptable: 3 });
  });
});

interface GcmTest extends WycheproofTest {
  readonly key: string;
  readonly iv: string;
  readonly aad: string;
  readonly msg: string;
  readonly ct: string;
  readonly tag: string;
}

interface GcmGroup {
  readonly ivSize: number;
  readonly keySize: number;
  readonly tagSize: number;
}

interface SivTest extends WycheproofTest {
  readonly key: string;
  readonly aad: string;
  readonly msg: string;
  readonly ct: string;
}

interface WrapTest extends WycheproofTest {
  readonly key: string;
  readonly msg: string;
  readonly ct: string;
}

const REFUSED_TO_WRAP: ReadonlySet<string> = new Set(["EmptyKey", "ShortKey", "WrongDataSize"]);
