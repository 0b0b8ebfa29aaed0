import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { type AzureKeyOptions, azureKey, managedHsmRandom } from "../../../providers/azure/index.ts";
import { AzureEmulator } from "../../../src/testing/azure-emulator/index.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";
import { untyped } from "../../support/untyped.ts";
import { unwrapOne, wrapOne } from "./calls.ts";

const emulator = await AzureEmulator.start();
afterAll(() => emulator[Symbol.asyncDispose]());
const version = await emulator.createKey("orders", { type: "oct-HSM", bits: 256 });

const V = "0123456789abcdef0123456789abcdef";
const withUrl = (keyUrl: string, options: Partial<AzureKeyOptions> = {}) => azureKey({ credential: emulator, keyUrl, ...options });

describe("a key URL is taken", () => {
  test.each([
    "https://acme.vault.azure.net/keys/orders",
    `https://acme.vault.azure.net/keys/orders/${V}`,
    "https://ACME.Vault.Azure.Net/keys/Orders-2026",
    "https://acme-hsm-2.managedhsm.azure.net/keys/orders",
    "https://acme.vault.azure.cn/keys/orders",
    "https://acme.managedhsm.azure.cn/keys/orders",
    "https://acme.vault.usgovcloudapi.net/keys/orders",
    "https://acme.managedhsm.usgovcloudapi.net/keys/orders",
    `https://acme.vault.azure.net/keys/${"k".repeat(127)}`,
  ])("%s", (keyUrl) => {
    const base = keyUrl.toLowerCase().replace(/\/[0-9a-f]{32}$/, "");
    expect(withUrl(keyUrl).owns(`${base}/${V}`)).toBe(true);
  });
});

describe("a key URL is refused", () => {
  test.each([
    "",
    "orders",
    "http://acme.vault.azure.net/keys/orders",
    "ftp://acme.vault.azure.net/keys/orders",
    "https://acme.vault.azure.net",
    "https://acme.vault.azure.net/keys/",
    "https://acme.vault.azure.net/keys/orders/",
    "https://acme.vault.azure.net/keys//orders",
    "https://acme.vault.azure.net/secrets/orders",
    `https://acme.vault.azure.net/keys/orders/${V}/`,
    `https://acme.vault.azure.net/keys/orders/${V}0`,
    "https://acme.vault.azure.net/keys/orders/latest",
    "https://acme.vault.azure.net/keys/orders?x=1",
    "https://acme.vault.azure.net/keys/orders#x",
    "https://acme.vault.azure.net/keys/../keys/orders",
    "https://acme.vault.azure.net/keys/%6frders",
    "https://acme.vault.azure.net/keys/orders%2f..",
    "https://user@acme.vault.azure.net/keys/orders",
    "https://user:secret@acme.vault.azure.net/keys/orders",
    "https://acme.vault.azure.net:443/keys/orders",
    "https://acme.vault.azure.net:8443/keys/orders",
    "https://acme.vault.azure.net./keys/orders",
    "https://acme.vault.azure.net.attacker.example/keys/orders",
    "https://attacker.example/keys/orders",
    "https://vault.azure.net/keys/orders",
    "https://.vault.azure.net/keys/orders",
    "https://a.b.vault.azure.net/keys/orders",
    "https://acme.privatelink.vault.azure.net/keys/orders",
    "https://acmevault.azure.net/keys/orders",
    "https://-acme.vault.azure.net/keys/orders",
    "https://a\u0441me.vault.azure.net/keys/orders",
    "https://acme.vault.azure.net/\u212aeys/orders",
    "https://acme.vault.azure.net/keys/order\u017f",
    "https://acme.vault\u3002azure.net/keys/orders",
    " https://acme.vault.azure.net/keys/orders",
    "https://acme.vault.azure.net/keys/orders\n",
    "https:\\\\acme.vault.azure.net\\keys\\orders",
    `https://acme.vault.azure.net/keys/${"k".repeat(128)}`,
  ])("%s", async (keyUrl) => {
    expect(await refusalCode(() => withUrl(keyUrl))).toBe("invalid-argument");
  });

  test("what is no text", async () => {
    for (const keyUrl of [undefined, null, 7, new URL("https://acme.vault.azure.net/keys/orders")]) {
      expect(await refusalCode(() => withUrl(untyped(keyUrl)))).toBe("invalid-argument");
    }
  });
});

test("allowed hosts: one for itself, its port included, or a suffix for one label", async () => {
  const taken = (allowedHosts: string[], host: string) =>
    refusal(() => {
      withUrl(`https://${host}/keys/orders`, { allowedHosts, tokenResource: "https://keys.example" });
      throw new Error("taken");
    }).then(
      () => false,
      () => true,
    );
  expect(await taken(["keys.example"], "keys.example")).toBe(true);
  expect(await taken(["Keys.Example:8443"], "keys.example:8443")).toBe(true);
  expect(await taken([".keys.example"], "acme.keys.example")).toBe(true);
  expect(await taken(["keys.example"], "keys.example:8443")).toBe(false);
  expect(await taken(["keys.example:8443"], "keys.example")).toBe(false);
  expect(await taken([".keys.example"], "acme.keys.example:8443")).toBe(false);
  expect(await taken([".keys.example"], "a.acme.keys.example")).toBe(false);
  expect(await taken([".keys.example"], "keys.example")).toBe(false);
  expect(await taken(["keys.example"], "acme.keys.example")).toBe(false);
  expect(await taken([""], "keys.example")).toBe(false);
});

test("bad options are refused at once", async () => {
  const keyUrl = "https://acme.vault.azure.net/keys/orders";
  const bad: readonly Partial<AzureKeyOptions>[] = [
    { allowedHosts: ["keys.example"], keyUrl: "https://keys.example/keys/orders" },
    { tokenResource: "vault.azure.net" },
    { unwrapVersions: [V] },
    { keyUrl: `${keyUrl}/${V}`, unwrapVersions: ["latest"] },
    { wrap: untyped("near") },
    { aesKeyBits: untyped(512) },
    { credential: untyped({}) },
    { credential: untyped(undefined) },
    { timeoutMs: 0 },
    { timeoutMs: Number.NaN },
    { versionCacheMs: -1 },
    { minVersionAgeMs: 2 ** 31 },
  ];
  for (const options of bad) expect(await refusalCode(() => withUrl(keyUrl, options)), JSON.stringify(options)).toBe("invalid-argument");
  const hsm = { credential: emulator, hsmUrl: "https://acme.vault.azure.net" };
  expect(await refusalCode(() => managedHsmRandom(hsm))).toBe("invalid-argument");
  expect(await refusalCode(() => managedHsmRandom({ ...hsm, hsmUrl: "https://acme.managedhsm.azure.net/keys/x" }))).toBe(
    "invalid-argument",
  );
});

test("a pinned key URL owns that version and the ones that are named, no other", () => {
  const keyUrl = `https://acme.vault.azure.net/keys/orders/${V}`;
  const other = V.replaceAll("0", "f");
  const own = (keyId: string, unwrapVersions: string[] = []) => withUrl(keyUrl, { unwrapVersions }).owns(keyId);
  expect(own(keyUrl)).toBe(true);
  expect(own(keyUrl.replace(V, other))).toBe(false);
  expect(own(keyUrl.replace(V, other), [other.toUpperCase()])).toBe(true);
});

test("of all strings a key owns its versions alone, and no other makes a call", async () => {
  const provider = azureKey({ ...emulator.connection, keyUrl: emulator.keyUrl("orders") });
  const recipient = await wrapOne(provider);
  emulator.takeRequests();
  const pieces = fc.constantFrom(
    "https://",
    "//",
    emulator.host,
    "attacker.example",
    "@",
    ":8443",
    "/keys/",
    "orders",
    "/",
    "..",
    "%2f",
    version,
    V,
    "\0",
    "?",
    "#",
    "K",
    "\u212a",
  );
  const hostile = fc.oneof(
    fc.string(),
    fc.array(pieces, { maxLength: 12 }).map((parts) => parts.join("")),
  );
  const own = new RegExp(`^https://${emulator.host.replaceAll(".", "\\.")}/keys/orders/[0-9a-f]{32}$`);
  await fc.assert(
    fc.asyncProperty(hostile, async (keyId) => {
      expect(provider.owns(keyId)).toBe(own.test(keyId));
      if (own.test(keyId)) return;
      expect(await refusalCode(() => unwrapOne(provider, { ...recipient, keyId }))).toBe("unwrap-rejected");
      expect(provider.noteNewVersion(keyId)).toBe(own.test(keyId.toLowerCase()));
    }),
    { numRuns: 2000 },
  );
  expect(emulator.takeRequests()).toEqual([]);
});
