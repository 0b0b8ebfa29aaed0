import { cpSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { application, output, write } from "./application.ts";
import { BUNDLERS } from "./bundlers.ts";

// Two copies of the package in one program: two versions in a tree of dependencies, or one in a bundle and one beside it.

beforeAll(() => {
  cpSync(join(application(), "node_modules/envelock"), join(application(), "second/node_modules/envelock"), { recursive: true });
  write("second/package.json", '{ "private": true, "type": "module" }');
  write("second/second.js", 'export * from "envelock";\nexport { localKey } from "envelock/providers/local";\n');
});

test.each([
  ["installed twice", () => "./second/second.js"],
  [
    "once in a CommonJS bundle",
    () => {
      BUNDLERS.esbuild({ entry: "second/second.js", outfile: "second-bundle.cjs", platform: "node", format: "cjs" });
      return "./second-bundle.cjs";
    },
  ],
])("%s: errors are known and providers are taken", (_how, second) => {
  write("two-copies.mjs", program(second()));
  expect(output(process.execPath, ["two-copies.mjs"]).split("\n")).toEqual([
    "the classes differ: true",
    "instanceof: true",
    "EnvelockError.is: true",
    "a provider of the other: 3 bytes",
    "an error of the other through a keyring: authentication-failed",
    "",
  ]);
});

function program(second: string): string {
  return `
import { EnvelockError, Keyring } from "envelock";
import * as other from ${JSON.stringify(second)};

const refusal = async (work) => {
  try { await work(); } catch (error) { return error; }
  throw new Error("was not refused");
};
const theirs = await refusal(() => other.inspect(new Uint8Array(3)));
console.log("the classes differ:", other.EnvelockError !== EnvelockError);
console.log("instanceof:", theirs instanceof EnvelockError);
console.log("EnvelockError.is:", EnvelockError.is(theirs));

const key = other.localKey({ keyId: "orders", key: new Uint8Array(32) });
const keyring = new Keyring({ wrapWith: [key] });
const envelope = await keyring.encrypt(new Uint8Array(3));
console.log("a provider of the other:", (await new other.Keyring({ wrapWith: [key] }).decrypt(envelope)).length, "bytes");
envelope[20] ^= 1;
console.log("an error of the other through a keyring:", (await refusal(() => keyring.decrypt(envelope))).code);
`;
}
