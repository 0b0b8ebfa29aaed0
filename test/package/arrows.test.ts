import { expect, test } from "vitest";
import { hasPlace, objectionTo } from "./arrows.ts";
import { cyclesIn, type Import, importsOf, sourceFiles } from "./imports.ts";

const FILES = [...sourceFiles("src"), ...sourceFiles("providers")];
const IMPORTS = FILES.flatMap(importsOf);

test("every file has its place in the table of test/package/arrows.ts", () => {
  expect(FILES.filter((path) => !hasPlace(path))).toEqual([]);
});

test("arrows point one way", () => {
  expect(IMPORTS.flatMap((found) => objectionTo(found) ?? [])).toEqual([]);
});

test("no file imports itself through others, types included", () => {
  expect(cyclesIn(IMPORTS)).toEqual([]);
});

test.each([
  ["src/core/base/bytes.ts", "src/core/contracts/algorithms.ts"],
  ["src/core/format/cbor.ts", "src/core/crypto/hkdf.ts"],
  ["src/core/format/cbor.ts", "cbor-x"],
  ["src/core/keyring/keyring.ts", "providers/local/index.ts"],
  ["src/core/keyring/keyring.ts", "node:fs"],
  ["src/core/keyring/inspect.ts", "src/fields/scope.ts"],
  ["src/cli/main.ts", "providers/local/local-key.ts"],
  ["src/newcomer.ts", "src/core/base/bytes.ts"],
  ["providers/local/local-key.ts", "src/core/keyring/keyring.ts"],
  ["providers/local/local-key.ts", "providers/conformance/index.ts"],
  ["providers/local/local-key.ts", "@azure/identity"],
  ["src/core/keyring/keyring.ts", "src/stores/file.ts"],
  ["src/core/contracts/key-provider.ts", "src/testing/azure-emulator/index.ts"],
  ["src/fields/scope.ts", "providers/local/index.ts"],
  ["providers/local/local-key.ts", "src/fields/scope.ts"],
  ["providers/azure/azure-key.ts", "src/stores/file.ts"],
  ["providers/pkcs11/pkcs11-key.ts", "src/node/index.ts"],
  ["providers/azure/sdk/key-vault.ts", "providers/azure/doctor/diagnose.ts"],
  ["providers/pkcs11/session/key-objects.ts", "providers/pkcs11/wrapping/kwp.ts"],
  ["providers/conformance/index.ts", "src/core/crypto/xaes.ts"],
  ["providers/newcomer/index.ts", "src/core/format/cbor.ts"],
])("the table objects to %s importing %s", (from, to) => {
  expect(objectionTo({ from, to, isType: false })).toBe(`${from} must not import ${to}`);
});

test("the scanner sees what is there", () => {
  const seen = new Set(IMPORTS.map(({ from, to }) => `${from} ${to}`));
  expect(seen).toContain("src/core/key-source/data-key-source.ts src/core/key-source/recipients.ts");
  expect(seen).toContain("src/core/data-key/data-key.ts src/core/crypto/engine/engine.ts");
  expect(seen).toContain("src/core/crypto/engine/node.ts node:crypto");
  expect(seen).toContain("providers/local/hybrid-kem.ts @noble/post-quantum/hybrid.js");
  expect(cyclesIn([arrow("a", "b"), arrow("b", "c"), arrow("c", "a"), arrow("c", "d")])).toEqual(["a -> b -> c -> a"]);
});

function arrow(from: string, to: string): Import {
  return { from, to, isType: false };
}
