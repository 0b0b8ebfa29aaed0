import { expect, test } from "vitest";
import { bothOf, rewrapHalf, threshold } from "../../../providers/composite/index.ts";
import { kek } from "../../support/keks.ts";
import { refusalCode } from "../../support/refusal.ts";
import { revoked, untyped } from "../../support/untyped.ts";

const key = bothOf({ keyId: "acme", platform: kek("a"), tenant: kek("b") });
const NOTHING: readonly unknown[] = [null, 5, "text", {}, revoked()];

test.each(["key", "signal"])("rewrapHalf refuses a bad %s", async (name) => {
  for (const value of NOTHING) {
    const options = untyped<Parameters<typeof rewrapHalf>[1]>({ key, half: "tenant", [name]: value });
    expect(await refusalCode(() => rewrapHalf(new Uint8Array(4), options))).toBe("invalid-argument");
  }
});

test("threshold refuses a number of keys that is none", async () => {
  for (const needed of [...NOTHING, Symbol("x"), Object.create(null)]) {
    expect(await refusalCode(() => threshold({ keyId: "a", needed: untyped(needed), providers: [kek("a"), kek("b")] }))).toBe(
      "invalid-argument",
    );
  }
});
