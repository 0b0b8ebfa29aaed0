import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { combine, product, split } from "../../../providers/composite/shamir.ts";
import { noise, runs } from "../../support/arbitraries.ts";

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
  test("combine to the published secret of draft-mcgrew-tss-03 §10", () => {
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
