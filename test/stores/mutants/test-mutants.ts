import { expect, test } from "vitest";
import { EnvelockError } from "../../../src/core/base/errors.ts";

/**
 * Runs the cases on a sound store and on the mutants, and requires that each case is there for at least one of them.
 *
 * @param casesOf makes the cases for mutants, or for sound stores without a change
 */
export function testMutants<Change>(
  what: string,
  mutants: readonly { readonly fault: string; readonly noticedBy: string; readonly change: Change }[],
  casesOf: (change?: Change) => readonly { readonly name: string; run(): Promise<void> }[],
): void {
  const sound = casesOf();
  for (const { name, run } of sound) test(`the memory store of ${what}: ${name}`, run);

  for (const { fault, noticedBy, change } of mutants) {
    test(`${noticedBy}: a store of ${what} that ${fault} is refused`, async () => {
      const found = casesOf(change).find(({ name }) => name === noticedBy);
      await expect(found?.run()).rejects.toBeInstanceOf(EnvelockError);
    });
  }

  test("each case is there for at least one mutant", () => {
    const needed = new Set(mutants.map(({ noticedBy }) => noticedBy));
    expect(sound.map(({ name }) => name).filter((name) => !needed.has(name))).toEqual([]);
  });
}
