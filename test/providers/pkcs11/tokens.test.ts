import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import pkcs11js from "pkcs11js";
import { afterAll, expect, test } from "vitest";
import { noise } from "../../support/arbitraries.ts";
import { fileOfPackages } from "../../support/debian-packages.ts";
import { nssToken, softHsmTokens } from "./tokens.ts";

const softHsm = softHsmTokens("one", "two");
const nss = nssToken();
afterAll(() => {
  softHsm.remove();
  nss.remove();
});
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });

test.each([
  ["SoftHSM", softHsm.tokens[0]],
  ["NSS", nss.tokens[0]],
] as const)("a token of %s holds the keys that it was given", (_name, token) => {
  expect(token.serial).not.toBe("");
  expect(token.countObjects()).toBe(0);
  token.addKey({ label: "kek", id: "01", aes: noise(32, "kek"), startDate: "20260101" });
  token.addKey({ label: "pair", id: "02", rsa: privateKey });
  expect(token.countObjects("kek")).toBe(1);
  expect(token.countObjects("pair")).toBe(2);
  token.deleteKey("pair");
  expect(token.countObjects()).toBe(1);
});

test("two tokens of one module do not share their keys, and another process sees them", () => {
  const [, two] = softHsm.tokens;
  expect(two.countObjects()).toBe(0);
  two.addKey({ label: "far", id: "0a", aes: noise(32, "far"), attributes: { [pkcs11js.CKA_WRAP]: false } });
  expect(softHsm.tokens[0].countObjects("far")).toBe(0);
  const list = ["--module", two.module, "--token-label", "two", "--login", "--pin", two.pin, "--list-objects"];
  expect(execFileSync(fileOfPackages(["/usr/bin/pkcs11-tool"], ["opensc"]), list, { encoding: "utf8" })).toContain("far");
});
