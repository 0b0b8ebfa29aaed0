import fc from "fast-check";
import { expect, test } from "vitest";
import { terminalJson, terminalText } from "../../src/cli/terminal-text.ts";

test.each([
  ["\u001b[2J\u001b[31mred", "\\u{1b}[2J\\u{1b}[31mred"],
  ["a\r\nb\tc\u0000", "a\\u{d}\\u{a}b\\u{9}c\\u{0}"],
  ["\u009b31m\u007f", "\\u{9b}31m\\u{7f}"],
  ["\u202egnp.exe\u2066\u200f", "\\u{202e}gnp.exe\\u{2066}\\u{200f}"],
  ["zero\u200bwidth\ufeff\u00ad\u3164", "zero\\u{200b}width\\u{feff}\\u{ad}\\u{3164}"],
  ["\u2028\u2029\u00a0\u3000", "\\u{2028}\\u{2029}\\u{a0}\\u{3000}"],
  ["tag\u{e0041}, private \ue000, lone \ud800", "tag\\u{e0041}, private \\u{e000}, lone \\u{d800}"],
  ["schlüssel 鍵 🔑 https://vault.example/keys/a?b=c", "schlüssel 鍵 🔑 https://vault.example/keys/a?b=c"],
])("%j is shown as %j", (text, shown) => {
  expect(terminalText(text)).toBe(shown);
});

test("whatever the text, no character that drives a terminal or hides is left", () => {
  fc.assert(
    fc.property(hostile, (text) => {
      const shown = terminalText(text);
      for (const [from, to] of UNSAFE_RANGES) {
        for (const character of shown) expect(isWithin(character, from, to)).toBe(false);
      }
    }),
  );
});

test("whatever the text, JSON is as safe and still says the same", () => {
  fc.assert(
    fc.property(hostile, (text) => {
      const json = terminalJson({ [text]: [text] });
      expect(JSON.parse(json)).toEqual({ [text]: [text] });
      expect(terminalText(json.replaceAll("\n", ""))).toBe(json.replaceAll("\n", ""));
    }),
  );
});

// Written out, where the code asks for Unicode's classes: controls, bidi and zero-width formats, separators, surrogates, tags.
const UNSAFE_RANGES = [
  [0x00, 0x1f],
  [0x7f, 0x9f],
  [0x61c, 0x61c],
  [0x200b, 0x200f],
  [0x2028, 0x202e],
  [0x2060, 0x206f],
  [0xd800, 0xdfff],
  [0xfeff, 0xfeff],
  [0xe0000, 0xe007f],
] as const;

const hostile: fc.Arbitrary<string> = fc
  .array(
    fc.oneof(
      fc.string({ unit: "binary" }),
      fc
        .constantFrom(...UNSAFE_RANGES)
        .chain(([from, to]) => fc.integer({ min: from, max: to }).map((point) => String.fromCodePoint(point))),
    ),
  )
  .map((parts) => parts.join(""));

function isWithin(character: string, from: number, to: number): boolean {
  const point = character.codePointAt(0) ?? 0;
  return point >= from && point <= to;
}
