import { describe, expect, test } from "vitest";
import * as azure from "../../providers/azure/index.ts";
import * as hybrid from "../../providers/local/hybrid.ts";
import * as local from "../../providers/local/index.ts";
import { AzureEmulator } from "../../src/testing/azure-emulator/index.ts";
import { refusal } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";

const call = (callee: unknown): ((options: unknown) => unknown) => untyped(callee);
const CREDENTIAL = { getToken: async () => null };
const KEY_URL = "https://vault.vault.azure.net/keys/orders";
const KEY = new Uint8Array(32);

/** Each public function that takes options, the options that it needs, and one of them misspelt. */
const FUNCTIONS: readonly [string, (options: unknown) => unknown, object, string, string][] = [
  ["localKey", untyped(local.localKey), { keyId: "a", key: KEY }, "keyID", "keyId"],
  ["localKeyset", untyped(local.localKeyset), { keys: [{ keyId: "a", key: KEY }], primary: "a" }, "primry", "primary"],
  ["localKeyPair", untyped(local.localKeyPair), { keyId: "a", publicKey: KEY }, "privatekey", "privateKey"],
  ["localKeyPairs", untyped(local.localKeyPairs), { keyPairs: [], primary: "a" }, "keypairs", "keyPairs"],
  ["localHybridKeyPair", untyped(hybrid.localHybridKeyPair), { keyId: "a", publicKey: KEY }, "publickey", "publicKey"],
  ["localHybridKeyPairs", untyped(hybrid.localHybridKeyPairs), { keyPairs: [], primary: "a" }, "primari", "primary"],
  ["azureKey", untyped(azure.azureKey), { keyUrl: KEY_URL, credential: CREDENTIAL }, "versionCacheMS", "versionCacheMs"],
  ["azureSecretKey", untyped(azure.azureSecretKey), { secretUrl: KEY_URL, credential: CREDENTIAL }, "unwrapVersion", "unwrapVersions"],
  [
    "managedHsmRandom",
    untyped(azure.managedHsmRandom),
    { hsmUrl: "https://a.managedhsm.azure.net", credential: CREDENTIAL },
    "timeout",
    "timeoutMs",
  ],
  ["diagnoseAzureKey", untyped(azure.diagnoseAzureKey), { keyUrl: KEY_URL, credential: CREDENTIAL }, "allowedHost", "allowedHosts"],
  ["azureCapacity", untyped(azure.azureCapacity), { service: "vault", keyType: "RSA", bits: 2048 }, "wrapPerSecond", "wrapsPerSecond"],
  ["AzureEmulator.start", untyped(AzureEmulator.start), {}, "flavor", "flavour"],
];

describe("an option that is misspelt is refused, and the right name is told", () => {
  test.each(FUNCTIONS)("%s", async (name, call, needed, misspelt, right) => {
    expect(await refusal(async () => await call({ ...needed, [misspelt]: undefined }))).toMatchObject({
      code: "invalid-argument",
      message: `${name} has no option \`${misspelt}\``,
      hint: `did you mean \`${right}\`?`,
    });
  });
});

test("options of a member are checked too", async () => {
  const client = { tlsOption: {} };
  expect(await refusal(() => call(azure.azureKey)({ keyUrl: KEY_URL, credential: CREDENTIAL, client }))).toMatchObject({
    hint: "did you mean `tlsOptions`?",
  });
  expect(await refusal(() => call(local.localKeyset)({ keys: [{ keyId: "a", secret: KEY }], primary: "a" }))).toMatchObject({
    message: "localKeyset has no option `secret`",
  });
});

describe("options that are none are refused with a code", () => {
  test.each(FUNCTIONS.filter(([name]) => name !== "AzureEmulator.start"))("%s", async (_name, call) => {
    for (const wrong of [undefined, null, "text", 7])
      expect(await refusal(async () => await call(wrong))).toMatchObject({ code: "invalid-argument" });
    expect(await refusal(async () => await call({}))).toMatchObject({ code: "invalid-argument" });
  });
});
