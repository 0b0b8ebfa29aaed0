import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { exportedNames, memberNames, reachableDeclarations } from "./declarations.ts";
import { ROOT } from "./imports.ts";
import { ENTRIES } from "./manifest.ts";

// What is in the list is promised to users: read the change before you write it with `vitest -u`.
test("the public names are those of test/package/public-names.txt", async () => {
  const lines = ENTRIES.flatMap(({ name, types }) => {
    const values = new Set(runtimeNames(name));
    const names = [...exportedNames(join(ROOT, types))].sort();
    expect([...values].filter((value) => !names.includes(value))).toEqual([]);
    return ["", name, ...names.map((exported) => `  ${values.has(exported) ? "value" : "type "} ${exported}`)];
  });
  await expect(`${lines.slice(1).join("\n")}\n`).toMatchFileSnapshot("public-names.txt");
});

test.each(ENTRIES)("nobody hands a nonce to $name", ({ types }) => {
  const declarations = reachableDeclarations(join(ROOT, types));
  expect(declarations.size).toBeGreaterThan(0);
  const offenders = [...declarations].filter(([, text]) => memberNames(text).some((name) => /^(nonce|iv)$|nonce(Bytes)?$/i.test(name)));
  expect(offenders.map(([name]) => name)).toEqual([]);
});

test("the check for nonces finds one", () => {
  expect(memberNames("declare function seal(key: Uint8Array, nonce: Uint8Array): void;")).toContain("nonce");
  expect(memberNames("interface Options { readonly iv?: Uint8Array }")).toContain("iv");
  expect([...reachableDeclarations(join(ROOT, "dist/types/src/index.d.ts")).keys()]).toEqual(
    expect.arrayContaining(["Keyring", "KeyringOptions", "InspectedEnvelope", "Context", "OwnedBytes"]),
  );
});

function runtimeNames(entry: string): readonly string[] {
  const program = `console.log(JSON.stringify(Object.keys(await import(${JSON.stringify(entry)}))));`;
  const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", program], { cwd: ROOT, encoding: "utf8" });
  return JSON.parse(stdout);
}
