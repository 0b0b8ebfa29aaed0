import { afterAll, beforeEach, expect, test } from "vitest";
import { diagnoseVaultKey, type VaultTransitKeyOptions } from "../../../providers/vault/index.ts";
import { VaultEmulator } from "../../../src/testing/vault-emulator/index.ts";
import { refusalCode } from "../../support/refusal.ts";
import { untyped } from "../../support/untyped.ts";

const emulator = await VaultEmulator.start();
afterAll(() => emulator.close());
beforeEach(() => {
  emulator.clearFaults();
  emulator.seal(false);
  emulator.createKey("orders");
});
const LEAST = {
  "transit/encrypt/orders": ["update"],
  "transit/decrypt/orders": ["update"],
  "transit/keys/orders": ["read"],
} as const;

/** The status of each check, by its name. */
async function statuses(options: Partial<VaultTransitKeyOptions> = {}): Promise<Readonly<Record<string, string>>> {
  const findings = await diagnoseVaultKey({
    ...emulator.connection,
    token: emulator.issueToken({ policy: LEAST }),
    key: "orders",
    ...options,
  });
  return Object.fromEntries(findings.map(({ check, status }) => [check, status]));
}
const EVERY = [
  "reach",
  "seal",
  "token",
  "key",
  "key-type",
  "exportable",
  "deletion",
  "versions",
  "upsert",
  "excess-rights",
  "wrap",
  "unwrap",
  "context",
  "latency",
];

test("a sound key has no failure, and every check is there", async () => {
  expect(await statuses()).toEqual(Object.fromEntries(EVERY.map((check) => [check, "ok"])));
});

test.each<[string, string]>([
  ["transit/keys/orders/config", "update"],
  ["transit/keys/orders/trim", "update"],
  ["transit/export/encryption-key/orders", "read"],
  ["transit/backup/orders", "read"],
  ["*", "sudo"],
])("a right beyond need, on %s, is a warning", async (path, capability) => {
  const policy = { ...LEAST, [path]: [capability] };
  const token = emulator.issueToken({ policy: untyped(policy) });
  expect(await statuses({ token })).toMatchObject({ "excess-rights": "warning", upsert: "ok", unwrap: "ok" });
});

test.each<[string, () => Partial<VaultTransitKeyOptions>, Readonly<Record<string, string>>]>([
  ["nothing listens", () => ({ address: "https://127.0.0.1:65535" }), { reach: "failed", seal: "skipped", wrap: "skipped" }],
  [
    "a seal",
    () => {
      emulator.seal();
      return {};
    },
    { reach: "ok", seal: "failed", token: "skipped", latency: "skipped" },
  ],
  ["a token that is none", () => ({ token: "hvs.none" }), { token: "failed", key: "skipped", context: "skipped" }],
  ["a key that is not there", () => ({ key: "missing" }), { key: "failed", "key-type": "skipped", wrap: "failed", unwrap: "failed" }],
  [
    "a key that can leave the server",
    () => {
      emulator.createKey("loose", "aes256-gcm96", { exportable: true });
      return { key: "loose", token: emulator.token };
    },
    { exportable: "warning", upsert: "warning", wrap: "ok" },
  ],
  [
    "a derived key",
    () => {
      emulator.createKey("derived", "aes256-gcm96", { derived: true });
      return { key: "derived", token: emulator.token };
    },
    { "key-type": "failed", wrap: "failed" },
  ],
  [
    "an RSA key that is not said to be one",
    () => {
      emulator.createKey("rsa", "rsa-2048");
      return { key: "rsa", token: emulator.token };
    },
    { "key-type": "failed", wrap: "failed" },
  ],
  [
    "an RSA key",
    () => {
      emulator.createKey("rsa", "rsa-2048");
      return { key: "rsa", keyType: "rsa", token: emulator.token };
    },
    { "key-type": "ok", context: "ok", unwrap: "ok" },
  ],
  [
    "a token that may not read keys",
    () => ({ token: tokenWithout("transit/keys/orders") }),
    { key: "failed", versions: "skipped", wrap: "ok", unwrap: "ok" },
  ],
  [
    "a token that may not decrypt",
    () => ({ token: tokenWithout("transit/decrypt/orders") }),
    { wrap: "ok", unwrap: "failed", context: "skipped" },
  ],
  ["a token that may not encrypt", () => ({ token: tokenWithout("transit/encrypt/orders") }), { wrap: "failed", unwrap: "ok" }],
])("%s", async (_what, options, expected) => {
  expect(await statuses(options())).toMatchObject(expected);
});

test("a minimum version and a soft-deleted key are told of", async () => {
  emulator.createKey("old");
  emulator.rotate("old");
  emulator.setMinDecryptionVersion("old", 2);
  expect(await statuses({ key: "old", token: emulator.token })).toMatchObject({ versions: "warning", wrap: "ok" });
  emulator.softDelete("old");
  expect(await statuses({ key: "old", token: emulator.token })).toMatchObject({ deletion: "failed", wrap: "failed" });
});

test("a server that ignores the context fails the wrap", async () => {
  await using old = await VaultEmulator.start({ knowsAssociatedData: false });
  old.createKey("orders");
  expect(await statuses({ ...old.connection })).toMatchObject({ token: "ok", wrap: "failed", context: "skipped" });
});

test("findings hold no secret, and bad options are refused", async () => {
  const findings = await diagnoseVaultKey({ ...emulator.connection, key: "missing" });
  expect(JSON.stringify(findings)).not.toContain(emulator.token);
  expect(await refusalCode(() => diagnoseVaultKey({ ...emulator.connection, key: "a/b" }))).toBe("invalid-argument");
});

function tokenWithout(path: string): string {
  return emulator.issueToken({ policy: Object.fromEntries(Object.entries(LEAST).filter(([own]) => own !== path)) });
}
