import { spawn } from "node:child_process";
import { constants, generateKeyPairSync, privateDecrypt } from "node:crypto";
import { once } from "node:events";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { openPadded } from "../../providers/pkcs11/wrapping/rfc5649.ts";
import { softHsmTokens } from "../providers/pkcs11/tokens.ts";
import { noise } from "../support/arbitraries.ts";
import { hexOf } from "../support/bytes.ts";
import { fileOfPackages } from "../support/debian-packages.ts";
import { CLI, ok, refused, scratch } from "./runner.ts";

const softHsm = softHsmTokens("hsm");
const [token] = softHsm.tokens;
const { at, names, read, write } = scratch();
const PIN = { ENVELOCK_PKCS11_PIN: token.pin };
const MODULE = { ENVELOCK_PKCS11_MODULE: token.module };
beforeEach(() => {
  Object.assign(process.env, PIN, MODULE);
});
afterAll(() => softHsm.remove());

const exchange = generateKeyPairSync("rsa", { modulusLength: 2048 });
const kek = ["--kek-id", `https://acme.vault.azure.net/keys/exchange/${"0a".repeat(16)}`, "--kek", at("exchange.pem")];
write("exchange.pem", exchange.publicKey.export({ format: "pem", type: "spki" }));

test("a key is made on the token, wraps, and gives way to its next version", async () => {
  const key = ["--key", "pkcs11:token=hsm;object=orders"];
  const plain = noise(1000, "plain");
  await ok(["hsm", "keygen", "pkcs11:token=hsm;object=orders"]);
  await ok(["encrypt", ...key, "--out", at("envelope")], plain);
  expect((await ok(["decrypt", at("envelope"), ...key])).stdout).toEqual(plain);
  expect((await ok(["rewrap", "--check", at("envelope"), ...key])).text).toMatch(/^current /);

  const { text } = await ok(["hsm", "keygen", "pkcs11:token=hsm;object=orders"]);
  expect(text).toMatch(/^aes-256 +encrypt, decrypt +never +pkcs11:token=hsm;object=orders;id=%02;serial=/m);
  await ok(["rewrap", at("envelope"), ...key]);
  expect((await ok(["inspect", at("envelope")])).text).toContain(`pkcs11:token=hsm;object=orders;id=%02;serial=${token.serial}`);
  expect((await ok(["decrypt", at("envelope"), ...key])).stdout).toEqual(plain);
});

test("tokens are listed without a PIN, keys after a login", async () => {
  token.addKey({ label: "listed", id: "51", aes: noise(32, "listed") });
  Reflect.deleteProperty(process.env, "ENVELOCK_PKCS11_PIN");
  const tokens = JSON.parse((await ok(["hsm", "list", "--json"])).text);
  expect(tokens).toContainEqual(expect.objectContaining({ label: "hsm", serial: token.serial, pin: "set" }));
  Object.assign(process.env, PIN);
  const keys = JSON.parse((await ok(["hsm", "list", "pkcs11:token=hsm", "--json"])).text);
  expect(keys).toContainEqual(expect.objectContaining({ label: "listed", id: "51", kind: "aes", bits: 256, isExtractable: false }));
});

test("the self-test and the list of mechanisms say what works", async () => {
  const results = JSON.parse((await ok(["hsm", "selftest", "pkcs11:token=hsm", "--json"])).text);
  const working = results.filter(({ failure }: { failure?: string }) => failure === undefined);
  expect(working.map(({ mechanism }: { mechanism: string }) => mechanism)).toEqual(["aes-gcm", "aes-kw", "aes-kwp", "rsa-oaep-sha1"]);
  expect((await ok(["hsm", "mechanisms", "pkcs11:token=hsm"])).text).toMatch(/^0x1087 +CKM_AES_GCM +encrypt, decrypt.* aes-gcm$/m);
});

describe("the PIN", () => {
  const list = ["hsm", "list", "pkcs11:token=hsm"];

  test("comes from pin-source before it comes from the environment", async () => {
    Object.assign(process.env, { ENVELOCK_PKCS11_PIN: "0000" });
    write("pin", `${token.pin}\n`);
    await ok(["hsm", "list", `pkcs11:token=hsm?pin-source=file:${at("pin")}`]);
    write("pin", `\ufeff${token.pin}\r\n`);
    await ok(["hsm", "list", `pkcs11:token=hsm?pin-source=file:${at("pin")}`]);
    write("pin", `\ufeff${token.pin}`.split("").join("\0"));
    await refused(2, "invalid-argument", ["hsm", "list", `pkcs11:token=hsm?pin-source=file:${at("pin")}`]);
    await refused(1, "access-denied", list);
    await refused(2, "invalid-argument", ["hsm", "list", "pkcs11:token=hsm?pin-source=pin"]);
    await refused(1, "invalid-argument", ["hsm", "list", `pkcs11:token=hsm?pin-source=file:${at("missing")}`]);
  });

  test("is asked for at the terminal, and does not show", async () => {
    Reflect.deleteProperty(process.env, "ENVELOCK_PKCS11_PIN");
    const script = fileOfPackages(["/usr/bin/script"], ["bsdutils"]); // gives the command a terminal
    const child = spawn(script, ["--quiet", "--return", "--command", [process.execPath, CLI, ...list].join(" "), "/dev/null"]);
    let shown = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      if (!shown.includes("PIN of") && (shown + text).includes("PIN of")) child.stdin.write(`${token.pin}x\x7f\r`);
      shown += text;
    });
    const [exitCode] = await once(child, "close");
    expect(shown).toContain('PIN of the token "hsm": ');
    expect(shown).toContain("key id");
    expect(shown).not.toContain(token.pin);
    expect(exitCode).toBe(0);
  });
});

test.each([
  [1, "key-not-found", "pkcs11:token=elsewhere;object=orders"],
  [1, "key-not-found", "pkcs11:token=hsm;object=nobody"],
  [1, "invalid-argument", "pkcs11:token=hsm;object=orders;slot-id=0"],
  [1, "invalid-argument", "pkcs11:token=hsm;object=orders?pin-value=1234"],
  [1, "provider-failure", "pkcs11:token=hsm;object=orders?module-path=/usr/lib/no-such-library.so"],
] as const)("exit code %i, %s: --key %s", async (exitCode, code, key) => {
  const before = names();
  await refused(exitCode, code, ["encrypt", "--key", key, "--out", at("nothing")], new Uint8Array(1));

  expect(names()).toEqual(before);
});

describe("a .byok file", () => {
  test("takes along a key of the token that may leave it", async () => {
    await ok(["hsm", "keygen", "pkcs11:token=hsm;object=leaving", "--extractable"]);
    await ok(["hsm", "byok", "pkcs11:token=hsm;object=leaving", ...kek, "--out", at("leaving.byok")]);
    expect(openedByAzure("leaving.byok")).toHaveLength(32);
  });

  test("takes along a new key, another one each time", async () => {
    for (const name of ["one.byok", "two.byok"]) await ok(["hsm", "byok", "--type", "aes-256", ...kek, "--out", at(name)]);
    expect(hexOf(openedByAzure("one.byok"))).not.toBe(hexOf(openedByAzure("two.byok")));
  });

  test("needs to be told of which key, and of one alone", async () => {
    await refused(2, "invalid-argument", ["hsm", "byok", ...kek]);
    await refused(2, "invalid-argument", ["hsm", "byok", "pkcs11:token=hsm;object=leaving", "--type", "aes-256", ...kek]);
  });
});

test("a key on a token needs a label", async () => {
  await refused(2, "invalid-argument", ["hsm", "keygen", "pkcs11:token=hsm"]);
});

function openedByAzure(name: string): Uint8Array {
  const bytes = Buffer.from(JSON.parse(Buffer.from(read(name)).toString()).ciphertext, "base64url");
  const padding = { key: exchange.privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha1" };
  return openPadded(privateDecrypt(padding, bytes.subarray(0, 256)), bytes.subarray(256)) ?? new Uint8Array(0);
}
