import { expect, test } from "vitest";
import { engine } from "#engine";
import { describeVectors, hex, type WycheproofTest, wycheproof } from "../../support/vectors.ts";

interface X25519Test extends WycheproofTest {
  readonly public: string;
  readonly private: string;
  readonly shared: string;
}

describeVectors("X25519 (Wycheproof)", () => {
  // "Acceptable" leaves the choice to the library. Ours: public keys on the twist and in other than the shortest form are taken, as
  // RFC 7748 §5 does; whatever gives an all-zero secret is refused, as its §6.1 allows and RFC 9180 §7.1.4 demands.
  test("valid ones agree, all-zero secrets are refused, twisted and non-canonical keys agree", () => {
    const tests = wycheproof<X25519Test>("x25519");
    const counts = { valid: 0, zero: 0, acceptable: 0 };
    for (const { tcId, flags, result, ...vector } of tests) {
      const isZero = flags.includes("ZeroSharedSecret");
      const secret = engine.x25519.keyPair(hex(vector.private)).sharedSecret(hex(vector.public));
      expect(secret && Buffer.from(secret).toString("hex"), `test ${tcId}`).toBe(isZero ? undefined : vector.shared);
      counts[isZero ? "zero" : result === "valid" ? "valid" : "acceptable"]++;
    }
    expect(counts).toEqual({ valid: 264, zero: 31, acceptable: 223 });
  });
});
