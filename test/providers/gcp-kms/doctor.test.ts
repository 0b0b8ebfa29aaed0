import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { diagnoseGcpKey, type GcpKmsKeyOptions } from "../../../providers/gcp-kms/index.ts";
import { GcpKmsEmulator } from "../../../src/testing/gcp-kms-emulator/index.ts";
import { fakeClock } from "../../support/fake-clock.ts";
import { refusalCode } from "../../support/refusal.ts";
import { untyped } from "../../support/untyped.ts";

const emulator = await GcpKmsEmulator.start();
afterAll(() => emulator.close());
const KEY = emulator.createKey("orders", { rotationSeconds: 7_776_000 });
const RSA = emulator.createKey("orders-rsa", { algorithm: "RSA_DECRYPT_OAEP_2048_SHA256" });
const EXTERNAL = emulator.createKey("orders-external", { protectionLevel: "EXTERNAL" });
const EVERY = [
  ...["token", "rights", "excess-rights", "key", "key-type", "state", "expiry", "protection", "rotation", "destruction"],
  ...["wrap", "unwrap", "context", "latency"],
];

beforeEach(() => {
  emulator.clearFaults();
  emulator.setState(KEY, 1, "ENABLED");
});

async function findings(options: Partial<GcpKmsKeyOptions> = {}): ReturnType<typeof diagnoseGcpKey> {
  return await diagnoseGcpKey({ ...emulator.connection, key: KEY, ...options });
}

/** The status of each check, by its name. */
async function statuses(options: Partial<GcpKmsKeyOptions> = {}): Promise<Readonly<Record<string, string>>> {
  return Object.fromEntries((await findings(options)).map(({ check, status }) => [check, status]));
}

test("a sound key: every check is there, in order, and is ok", async () => {
  const least = tokenWith(ENCRYPT, DECRYPT, "cryptoKeys.get", "cryptoKeyVersions.get");
  expect((await findings(least())).map(({ check, status }) => `${check} ${status}`)).toEqual(EVERY.map((check) => `${check} ok`));
});

test("a sound RSA key", async () => {
  const found = await findings({ key: RSA, keyType: "rsa", version: 1 });
  const other: Readonly<Record<string, string>> = { rotation: "skipped", "excess-rights": "warning" }; // the emulator's owner
  expect(found.map(({ check, status }) => `${check} ${status}`)).toEqual(EVERY.map((check) => `${check} ${other[check] ?? "ok"}`));
});

test.each([
  "cryptoKeyVersions.destroy",
  "cryptoKeyVersions.update",
  "cryptoKeys.update",
  "cryptoKeys.setIamPolicy",
])("a right beyond need, %s, is a warning", async (right) => {
  const token = tokenWith(ENCRYPT, DECRYPT, "cryptoKeys.get", right)();
  expect(await statuses(token)).toMatchObject({ rights: "ok", "excess-rights": "warning", unwrap: "ok" });
});

const described = (fields: object) => (): object => {
  const sound = { purpose: "ENCRYPT_DECRYPT", primary: { state: "ENABLED", protectionLevel: "SOFTWARE" } };
  emulator.failNext({ status: 200, text: JSON.stringify({ name: KEY, ...sound, ...fields }) }, /^GET/);
  return {};
};
const tokenWith =
  (...allow: readonly string[]) =>
  (): object => {
    const token = emulator.issueToken({ grants: { [KEY]: allow.map((name) => `cloudkms.${name}`) } });
    return { token: async () => ({ token }) };
  };
const ENCRYPT = "cryptoKeyVersions.useToEncrypt";
const DECRYPT = "cryptoKeyVersions.useToDecrypt";
const state = (set: Parameters<GcpKmsEmulator["setState"]>[2]) => (): object => {
  emulator.setState(KEY, 1, set);
  return {};
};

test.each<[string, () => object, Readonly<Record<string, string>>]>([
  ["nothing listens", () => ({ endpoint: "https://127.0.0.1:65535" }), { token: "ok", rights: "failed", key: "failed", wrap: "failed" }],
  [
    "a token function that fails",
    () => ({ token: () => Promise.reject(new Error("none")) }),
    { token: "failed", rights: "skipped", key: "skipped", destruction: "skipped", wrap: "skipped", latency: "skipped" },
  ],
  ["a token that the service refuses", () => ({ token: async () => ({ token: "ya29.other" }) }), { rights: "failed", wrap: "failed" }],
  ["a disabled version", state("DISABLED"), { state: "failed", wrap: "failed", unwrap: "skipped" }],
  ["a version to be destroyed", state("DESTROY_SCHEDULED"), { state: "failed", wrap: "failed" }],
  ["a destroyed version", state("DESTROYED"), { state: "failed", wrap: "failed" }],
  ["another type of key", () => ({ key: RSA }), { "key-type": "failed", wrap: "failed" }],
  ["an RSA version that is not there", () => ({ key: RSA, keyType: "rsa", version: 7 }), { state: "failed", wrap: "failed" }],
  ["a signing key", described({ purpose: "ASYMMETRIC_SIGN", primary: undefined }), { "key-type": "failed" }],
  ["a key without a primary version", described({ primary: undefined }), { state: "failed" }],
  ["a key that is not rotated", described({}), { rotation: "warning", destruction: "skipped" }],
  ["a key whose versions go within a day", described({ destroyScheduledDuration: "86400s" }), { destruction: "warning" }],
  ["an external key", () => ({ key: EXTERNAL }), { protection: "warning", rotation: "skipped", wrap: "ok", context: "ok" }],
  ["the least rights", tokenWith(ENCRYPT, DECRYPT, "cryptoKeys.get"), { rights: "ok", state: "ok", context: "ok" }],
  ["no right to read the key", tokenWith(ENCRYPT, DECRYPT), { rights: "ok", key: "failed", state: "skipped", wrap: "ok" }],
  ["no right to decrypt", tokenWith(ENCRYPT, "cryptoKeys.get"), { rights: "failed", wrap: "ok", unwrap: "failed", context: "skipped" }],
  ["no right at all", tokenWith("keyRings.get"), { rights: "failed", key: "failed", wrap: "failed" }],
])("%s", async (_what, arrange, expected) => {
  expect(await statuses(arrange())).toMatchObject(expected);
});

describe("what it says", () => {
  test("a missing permission is named, with its role", async () => {
    const found = await findings(tokenWith(ENCRYPT, "cryptoKeys.get")());
    expect(found.find(({ check }) => check === "rights")).toMatchObject({
      message: "the principal lacks cloudkms.cryptoKeyVersions.useToDecrypt",
      advice: "grant it roles/cloudkms.cryptoKeyDecrypter on the key",
    });
  });

  test("every failure and warning has advice", async () => {
    for (const options of [tokenWith("keyRings.get")(), { key: EXTERNAL }, { key: RSA }, { endpoint: "https://127.0.0.1:65535" }]) {
      for (const { status, advice } of await findings(options))
        expect(advice !== undefined).toBe(status === "failed" || status === "warning");
    }
  });
});

test("a token's end is told, and a slow unwrap", async () => {
  const clock = fakeClock();
  await using slow = await GcpKmsEmulator.start({ clock });
  const key = slow.createKey("orders");
  slow.failNext({ meanwhile: () => clock.advanceNow(1500) }, /:decrypt/, 3);
  const token = async (): Promise<{ readonly token: string; readonly expiresAtMs: number }> => ({
    token: slow.token,
    expiresAtMs: clock.unixMs() + 3_600_000,
  });
  const found = await diagnoseGcpKey({ ...slow.connection, clock, token, key });
  expect(found.find(({ check }) => check === "token")?.message).toContain("3600 s");
  expect(found.find(({ check }) => check === "latency")).toMatchObject({ status: "warning" });
});

test("bad options are thrown", async () => {
  expect(await refusalCode(() => findings({ key: "orders" }))).toBe("invalid-argument");
  expect(await refusalCode(() => findings(untyped({ name: "x" })))).toBe("invalid-argument");
});
