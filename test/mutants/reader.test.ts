import { describe, expect, test } from "vitest";
import { checks } from "./checks.ts";
import { isSlip, SLIPS } from "./slips.ts";

// docs/vectors are worth what they find out: a reader that is right passes all of them, and one with any single slip fails at least one.

const CHECKS = checks();

describe("an independent reader of wire format 1", () => {
  test("passes every vector", () => {
    expect(CHECKS.length).toBeGreaterThan(850);
    expect(CHECKS.filter(({ passes }) => !passes(undefined)).map(({ name }) => name)).toEqual([]);
  });

  test.each(Object.entries(SLIPS))("with the slip %s fails: %s", (slip) => {
    if (!isSlip(slip)) return expect.fail("no slip");
    expect(CHECKS.find(({ passes }) => !passes(slip))?.name).toBeDefined();
  });
});
