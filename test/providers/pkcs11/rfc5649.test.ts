import { expect, test } from "vitest";
import { openPadded, wrapPadded } from "../../../providers/pkcs11/wrapping/rfc5649.ts";
import { flipped, hexOf } from "../../support/bytes.ts";
import { describeVectors, hex, type WycheproofTest, wycheproof } from "../../support/vectors.ts";

test.each([
  ["c37b7e6492584340bed12207808941155068f738", "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a"],
  ["466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f"],
])("wraps %s as RFC 5649 §6 does", (key, wrapped) => {
  const kek = hex("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8");
  expect(hexOf(wrapPadded(kek, hex(key)))).toBe(wrapped);
  expect(hexOf(openPadded(kek, hex(wrapped)) ?? new Uint8Array(0))).toBe(key);
});

test("opens nothing that was changed, cut or lengthened", () => {
  const [kek, key] = [new Uint8Array(32).fill(7), new Uint8Array(29).fill(9)];
  const wrapped = wrapPadded(kek, key);
  for (let at = 0; at < wrapped.length; at++) expect(openPadded(kek, flipped(wrapped, at))).toBeUndefined();
  for (let length = 0; length < wrapped.length; length++) expect(openPadded(kek, wrapped.subarray(0, length))).toBeUndefined();
  expect(openPadded(kek, new Uint8Array([...wrapped, ...new Uint8Array(8)]))).toBeUndefined();
});

describeVectors("Wycheproof's AES-KWP", () => {
  test("every vector", () => {
    for (const { tcId, key, msg, ct, result } of wycheproof<KwpTest>("aes_kwp")) {
      const opened = openPadded(hex(key), hex(ct));
      expect(opened && hexOf(opened), `test ${tcId}`).toBe(result === "invalid" ? undefined : msg);
      if (result === "valid") expect(hexOf(wrapPadded(hex(key), hex(msg))), `test ${tcId}`).toBe(ct);
    }
  });
});

interface KwpTest extends WycheproofTest {
  readonly key: string;
  readonly msg: string;
  readonly ct: string;
}
