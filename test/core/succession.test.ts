import { describe, expect, test } from "vitest";
import { KeyContext } from "../../src/core/base/context.ts";
import { DataKey } from "../../src/core/data-key/data-key.ts";
import { isSuccession, proveSuccession } from "../../src/core/data-key/succession.ts";
import { readVectors } from "../format/read-vectors.ts";
import type { SuccessionVector } from "../format/succession-vectors.ts";
import { hex } from "../format/vector-file.ts";
import { noise } from "../support/arbitraries.ts";
import { refusalCode } from "../support/refusal.ts";

describe("docs/vectors/successions.json", () => {
  const { vectors } = readVectors<SuccessionVector>("successions.json");

  test("10 good vectors, 20 broken ones", () => {
    expect(vectors.filter(({ error }) => error === undefined)).toHaveLength(10);
    expect(vectors.filter(({ error }) => error !== undefined)).toHaveLength(20);
  });

  test.each(vectors)("format.md [M-101] [M-102]: $name", async ({ dataKey, keyContext, version, kid, createdAtMs, proof, error }) => {
    const context = new KeyContext(Object.fromEntries(keyContext));
    const before = DataKey.from(Buffer.from(dataKey, "hex"), context.map);
    const claim = { version, kid: Buffer.from(kid, "hex"), createdAtMs };
    const fits = (): boolean => isSuccession(Buffer.from(proof, "hex"), before, context, claim);
    if (error === "malformed-envelope") return expect(await refusalCode(fits)).toBe(error);
    expect(fits()).toBe(error === undefined);
    if (proof.length === 70 && error === undefined) expect(hex(proveSuccession(before, context, claim))).toBe(proof);
  });
});

test("a proof takes a data key that is alive", async () => {
  const before = DataKey.from(noise(32, "before"));
  before.destroy();
  const claim = { version: 2, kid: noise(16, "kid"), createdAtMs: 0 };
  expect(await refusalCode(() => proveSuccession(before, new KeyContext(), claim))).toBe("closed");
});
