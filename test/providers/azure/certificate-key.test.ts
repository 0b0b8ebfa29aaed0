import { X509Certificate } from "node:crypto";
import { createRequire } from "node:module";
import { join } from "node:path";
import { CryptographyClient, KeyClient } from "@azure/keyvault-keys";
import { SecretClient } from "@azure/keyvault-secrets";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { type AzureKey, type AzureKeyOptions, azureKey, diagnoseAzureKey } from "../../../providers/azure/index.ts";
import { Keyring } from "../../../src/index.ts";
import { AzureEmulator } from "../../../src/testing/azure-emulator/index.ts";
import { fakeClock } from "../../support/fake-clock.ts";
import { installed } from "../../support/npm-tools.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";
import { unwrapOne, versionOf, wrapOne } from "./calls.ts";

// The key of a certificate, which has the certificate's name, as a KEK. Microsoft's own clients make, renew and delete the certificate.

const modules = installed("foreign", ["@azure/keyvault-certificates@4.10.0"]);
const { CertificateClient } = createRequire(join(modules, "..", "package.json"))("@azure/keyvault-certificates");
const clock = fakeClock();
const emulator = await AzureEmulator.start({ clock, transitionMs: 5 });
afterAll(() => emulator.close());
const options = { tlsOptions: { ca: emulator.ca }, disableChallengeResourceVerification: true, retryOptions: { maxRetries: 0 } };
const certificates = new CertificateClient(emulator.url, emulator.owner, options);
const keys = new KeyClient(emulator.url, emulator.owner, options);
const POLICY = { issuerName: "Self", subject: "CN=orders", keyType: "RSA", keySize: 2048, exportable: true };
const DAY_MS = 86_400_000;
const POLL = { intervalInMs: 1 };
let name = "";
let count = 0;
beforeEach(() => {
  name = `orders-${count++}`;
});

describe("a certificate of Microsoft's client", () => {
  test("has a key of its name and version, which wraps and unwraps, also for their client", async () => {
    const made = await create();
    const provider = open();
    const recipient = await wrapOne(provider);
    expect(recipient).toMatchObject({ keyId: made.keyId, alg: 3 });
    expect(new X509Certificate(made.cer).publicKey.asymmetricKeyDetails?.modulusLength).toBe(2048);
    expect(made.properties.version).toBe(versionOf(recipient));
    const theirs = new CryptographyClient(made.keyId, emulator.owner, options);
    const { result } = await theirs.unwrapKey("RSA-OAEP-256", recipient.wrapped);
    expect(new Uint8Array(result)).toEqual(new Uint8Array(await unwrapOne(provider, recipient)));
    const secret = new SecretClient(emulator.url, emulator.owner, options).getSecret(name);
    expect((await secret).value).toContain("BEGIN PRIVATE KEY");
    expect((await keys.getKey(name)).properties.managed).toBe(true);
  });

  test("that is renewed wraps with its new key, and what the old one wrapped is opened and named as stale", async () => {
    await create();
    const keyring = new Keyring({ wrapWith: [open({ minVersionAgeMs: 0, versionCacheMs: 0 })] });
    const envelope = await keyring.encrypt(new Uint8Array(10));
    const renewed = await create();
    expect(await keyring.needsRewrap(envelope)).toBe(true);
    const moved = await keyring.rewrap(envelope);
    expect(await keyring.needsRewrap(moved)).toBe(false);
    expect(versionOf(await wrapOne(open({ minVersionAgeMs: 0 })))).toBe(renewed.properties.version);
    for (const each of [envelope, moved]) expect(await keyring.decrypt(each)).toEqual(new Uint8Array(10));
  });

  test("that is renewed with reuseKey has a new version of the same key", async () => {
    await create({ reuseKey: true });
    const provider = open({ minVersionAgeMs: 0, versionCacheMs: 0 });
    const old = await wrapOne(provider);
    await create({ reuseKey: true });
    const fresh = await wrapOne(provider);
    expect(versionOf(fresh)).not.toBe(versionOf(old));
    await unwrapOne(provider, { ...old, keyId: fresh.keyId });
  });

  test("that is deleted takes its key along, and brings it back", async () => {
    await create();
    const provider = open();
    const recipient = await wrapOne(provider);
    await pollThrough(await certificates.beginDeleteCertificate(name, POLL));
    expect(await refusalCode(() => unwrapOne(provider, recipient))).toBe("key-not-found");
    await expect(create()).rejects.toMatchObject({ statusCode: 409 });
    await expect(keys.createKey(name, "RSA"), "the key holds the name too").rejects.toMatchObject({ statusCode: 409 });
    await expect(keys.purgeDeletedKey(name)).rejects.toMatchObject({ statusCode: 403 });
    await pollThrough(await certificates.beginRecoverDeletedCertificate(name, POLL));
    await unwrapOne(provider, recipient);
    await pollThrough(await certificates.beginDeleteCertificate(name, POLL));
    await certificates.purgeDeletedCertificate(name);
    expect(await refusalCode(() => unwrapOne(provider, recipient))).toBe("key-not-found");
    expect((await keys.createKey(name, "oct-HSM")).properties.managed).toBeFalsy();
  });

  test("that is disabled disables its key", async () => {
    const { properties } = await create();
    const recipient = await wrapOne(open());
    await certificates.updateCertificateProperties(name, properties.version, { enabled: false });
    expect(await refusal(() => wrapOne(open()))).toMatchObject({ code: "key-disabled", detail: "disabled" });
    expect(await refusal(() => unwrapOne(open(), recipient))).toMatchObject({ code: "key-disabled", detail: "disabled" });
    await certificates.updateCertificateProperties(name, properties.version, { enabled: true });
    await unwrapOne(open(), recipient);
  });

  test("that has ended wraps no more, and goes on unwrapping", async () => {
    await emulator.createCertificate(name, { validityMonths: 1 });
    const recipient = await wrapOne(open());
    clock.advanceNow(32 * DAY_MS);
    expect(await refusal(() => wrapOne(open()))).toMatchObject({ code: "key-disabled", detail: "expired" });
    await unwrapOne(open(), recipient);
    const findings = await diagnoseAzureKey({ ...emulator.connection, clock, keyUrl: emulator.keyUrl(name) });
    expect(findings.find(({ check }) => check === "validity")).toMatchObject({
      status: "failed",
      advice: expect.stringContaining("certificate"),
    });
    expect(findings.find(({ check }) => check === "rotation")).toMatchObject({
      status: "skipped",
      message: expect.stringContaining("certificate"),
    });
  });

  test("whose usage lacks keyEncipherment, or whose key is of type EC, is refused before a data key goes out", async () => {
    await emulator.createCertificate(name, { keyUsage: ["digitalSignature"] });
    expect(await refusal(() => wrapOne(open()))).toMatchObject({ code: "key-disabled", detail: "key-operations" });
    const findings = await diagnoseAzureKey({ ...emulator.connection, clock, keyUrl: emulator.keyUrl(name) });
    expect(findings.find(({ check }) => check === "key-operations")?.advice).toContain("keyEncipherment");
    await emulator.createCertificate(`${name}-ec`, { type: "EC", keyUsage: ["keyEncipherment"] });
    const ec = open({ keyUrl: emulator.keyUrl(`${name}-ec`) });
    expect(await refusal(() => wrapOne(ec))).toMatchObject({ code: "provider-failure", detail: "key-type" });
  });

  test("keeps what belongs to it from requests about keys and secrets", async () => {
    const { properties } = await create();
    const secrets = new SecretClient(emulator.url, emulator.owner, options);
    const refused = { statusCode: 403 };
    await expect(keys.beginDeleteKey(name)).rejects.toMatchObject(refused);
    await expect(keys.rotateKey(name)).rejects.toMatchObject(refused);
    await expect(keys.createKey(name, "RSA")).rejects.toMatchObject(refused);
    await expect(keys.updateKeyProperties(name, properties.version, { enabled: false })).rejects.toMatchObject(refused);
    await expect(secrets.setSecret(name, "x")).rejects.toMatchObject(refused);
    await expect(secrets.beginDeleteSecret(name)).rejects.toMatchObject(refused);
    await keys.createKey(`${name}-key`, "oct-HSM");
    await expect(certificates.beginCreateCertificate(`${name}-key`, POLICY, POLL)).rejects.toMatchObject({ statusCode: 409 });
  });
});

function open(more: Partial<AzureKeyOptions> = {}): AzureKey {
  return azureKey({ ...emulator.connection, clock, keyUrl: emulator.keyUrl(name), ...more });
}

async function create(more: object = {}): Promise<{
  readonly keyId: string;
  readonly cer: Uint8Array;
  readonly properties: { readonly version: string };
}> {
  const poller = await certificates.beginCreateCertificate(name, { ...POLICY, ...more }, POLL);
  return await poller.pollUntilDone();
}

/** Polls while the emulator's time goes on. */
async function pollThrough(poller: { poll(): Promise<unknown>; isDone(): boolean }): Promise<void> {
  while (!poller.isDone()) {
    await poller.poll();
    clock.advanceNow(1);
  }
}
