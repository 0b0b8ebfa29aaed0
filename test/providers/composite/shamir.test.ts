import { createRequire } from "node:module";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { combine, product, split } from "../../../providers/composite/shamir.ts";
import { noise, runs } from "../../support/arbitraries.ts";
import { installed } from "../../support/npm-tools.ts";

describe("the field", () => {
  test("multiplies as FIPS 197 §4.2 says, and has an inverse for each number above 0", () => {
    expect([product(0x57, 0x83), product(0x57, 0x13), product(0x02, 0x87)]).toEqual([0xc1, 0xfe, 0x15]);
    for (let a = 1; a < 256; a++) {
      const products = new Set(Array.from({ length: 256 }, (_, b) => product(a, b)));
      expect(products.size).toBe(256);
    }
  });
});

describe("shares", () => {
  // Also the known answer of independent implementations in Go, Java, Dart and TypeScript. The draft counts places from 1.
  test("combine to the published secret of draft-mcgrew-tss-03 §9", () => {
    const points = [
      { x: 1, y: Uint8Array.from(Buffer.from("b9fa07e185", "hex")) },
      { x: 2, y: Uint8Array.from(Buffer.from("f5409b4511", "hex")) },
    ];
    expect(Buffer.from(combine(points)).toString("hex")).toBe("7465737400");
    expect(Buffer.from(combine([...points].reverse())).toString("hex")).toBe("7465737400");
  });

  test("are those of the draft, for the coefficients that it has used", () => {
    const secret = Uint8Array.from(Buffer.from("7465737400", "hex"));
    const coefficients = Uint8Array.from(Buffer.from("b9fa07e185", "hex"), (byte, at) => byte ^ (secret[at] ?? 0));
    const points = split(secret, 2, [1, 2], coefficients);
    expect(points.map(({ y }) => Buffer.from(y).toString("hex"))).toEqual(["b9fa07e185", "f5409b4511"]);
    expect(coefficients.every((byte) => byte === 0)).toBe(true);
  });

  test("any that are enough give the secret, in any order (property)", () => {
    const cases = fc.integer({ min: 2, max: 16 }).chain((count) =>
      fc.record({
        needed: fc.integer({ min: 2, max: count }),
        places: fc.uniqueArray(fc.integer({ min: 1, max: 255 }), { minLength: count, maxLength: count }),
        secret: fc.uint8Array({ minLength: 1, maxLength: 40 }),
        seed: fc.nat(),
      }),
    );
    fc.assert(
      fc.property(cases, ({ needed, places, secret, seed }) => {
        const points = split(secret, needed, places, noise((needed - 1) * secret.length, seed));
        const chosen = [...points].sort(() => 1).slice(0, needed);
        expect(combine(chosen)).toEqual(secret);
        expect(combine(points.slice(0, needed))).toEqual(secret);
      }),
      runs(300, 300),
    );
  });

  test("one too few fits every secret equally well", () => {
    for (const secret of [0, 7, 255]) {
      const seen = new Set<number>();
      for (let coefficient = 0; coefficient < 256; coefficient++) {
        const [point] = split(Uint8Array.of(secret), 2, [5], Uint8Array.of(coefficient));
        seen.add(point?.y[0] ?? -1);
      }
      expect(seen.size).toBe(256);
    }
  });
});

// Audited by Cure53 and Zellic. A share is one byte for each byte of the secret, and the place at the end. docs/design.md §8 says why the
// library does not depend on it.
describe("shamir-secret-sharing 0.0.4, of others", () => {
  const load = createRequire(join(installed("foreign", ["shamir-secret-sharing@0.0.4"]), "..", "package.json"));
  const other = load("shamir-secret-sharing");

  test("combines our shares", async () => {
    for (const [count, needed] of SIZES) {
      const secret = noise(32, `ours ${count}`);
      const places = Array.from({ length: count }, (_, at) => 255 - 7 * at);
      const points = split(secret, needed, places, noise((needed - 1) * 32, `coefficients ${count}`));
      const shares = points.map(({ x, y }) => Uint8Array.of(...y, x));
      for (const chosen of [shares.slice(0, needed), shares.slice(-needed)])
        expect(new Uint8Array(await other.combine(chosen))).toEqual(secret);
    }
  });

  test("splits into shares that we combine", async () => {
    for (const [count, needed] of SIZES) {
      const secret = noise(32, `theirs ${count}`);
      const shares: readonly Uint8Array[] = await other.split(secret.slice(), count, needed);
      const points = shares.map((share) => ({ x: share.at(-1) ?? 0, y: share.slice(0, -1) }));
      for (const chosen of [points.slice(0, needed), points.slice(-needed)]) expect(combine(chosen)).toEqual(secret);
    }
  });
});

const SIZES = [
  [2, 2],
  [3, 2],
  [5, 3],
  [16, 9],
  [16, 16],
] as const;
