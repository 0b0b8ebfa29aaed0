import { describe, expect, test } from "vitest";

/**
 * A suite against a real service. Without the variables that say where it is, the suite reports itself as skipped, by name and with
 * what to set.
 *
 * @param suite gets the values, in the order of their names
 */
export function describeLive(name: string, variables: readonly string[], suite: (...values: readonly string[]) => void): void {
  const values = variables.map((variable) => process.env[variable] ?? "");
  if (!values.includes("")) {
    describe(`${name}, live`, () => suite(...values));
    return;
  }
  describe.skipIf(values.includes(""))(`${name}, live (set ${variables.join(", ")})`, () => {
    test("the service is named", () => expect(values).not.toContain(""));
  });
}
