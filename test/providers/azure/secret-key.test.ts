import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { type AzureSecretKeyOptions, azureSecretKey } from "../../../providers/azure/index.ts";
import { parseKeyUrl } from "../../../providers/azure/key-url.ts";
import { VaultConnection } from "../../../providers/azure/sdk/vault-connection.ts";
import { SecretKeks } from "../../../providers/azure/secret-keks.ts";
import { type ConformanceHarness, conformance } from "../../../providers/conformance/index.ts";
import { toBase64Url } from "../../../src/core/base/bytes.ts";
import { systemClock } from "../../../src/core/base/clock.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import { Answer, AzureEmulator, forbidden } from "../../../src/testing/azure-emulator/index.ts";
import { noise } from "../../support/arbitraries.ts";
import { deferred } from "../../support/deferred.ts";
import { fakeClock } from "../../support/fake-clock.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";
import { withEmptyEnvironment } from "../empty-environment.ts";
import { unwrapOne, wrapOne } from "./calls.ts";

const emulator = await AzureEmulator.start();
afterAll(() => emulator[Symbol.asyncDispose]());
const base64 = (seed: string): string => Buffer.from(noise(32, seed)).toString("base64");

describe.each([0, 600_000])("conformance, kept for %d ms", (versionCacheMs) => {
  const isCached = versionCacheMs > 0;
  emulator.setSecret("orders", base64("first"));
  emulator.setSecret("other", base64("other"));
  let rotations = 0;
  const harness: ConformanceHarness = {
    bindsContext: true,
    flips: "each-bit",
    secrets: [Buffer.from(emulator.token), noise(32, "first")],
    hostileKeyIds: [
      `${emulator.secretUrl("orders")}/`,
      `${emulator.secretUrl("orders")}/${"0".repeat(31)}`,
      `${emulator.secretUrl("orders")}/${"A".repeat(32)}`,
      `${emulator.secretUrl("third")}/${"a".repeat(32)}`,
      `${emulator.keyUrl("orders")}/${"a".repeat(32)}`,
    ],
    open: () => open("orders", { versionCacheMs }),
    openOther: () => open("other", { versionCacheMs }),
    rotate: async () => void emulator.setSecret("orders", base64(`rotation ${rotations++}`)),
    expire: (keyId) => emulator.changeSecret("orders", keyId.slice(-32), { exp: 1_700_000_000 }),
    calls: () => emulator.requests.length,
    maxCalls: isCached ? { wrap: 0, unwrap: 0, current: 0 } : { wrap: 2, unwrap: 1, current: 1 },
    failures: isCached
      ? {}
      : {
          "access-denied": () => emulator.failNext(forbidden("ForbiddenByRbac")),
          "key-disabled": () => emulator.failNext(forbidden("SecretDisabled")),
          "key-not-found": () => emulator.failNext(new Answer(404, { code: "SecretNotFound" })),
          "rate-limited": () => emulator.failNext(new Answer(429, { code: "Throttled" })),
          unavailable: () => emulator.failNext("reset"),
          timeout: () => emulator.failNext(new Answer(408, { code: "RequestTimeout" })),
          "provider-failure": () => emulator.failNext("garbage"),
        },
    ...(!isCached && { hold: () => emulator.holdNext() }),
    withEmptyEnvironment,
  };
  for (const { name, run } of conformance(harness)) test(name, run);
});

describe("a KEK in a secret", () => {
  beforeEach(() => void emulator.takeRequests());

  test("may be base64 with and without padding, base64url, or a JWK, with white space around it", async () => {
    const key = noise(32, "forms");
    const text = Buffer.from(key).toString("base64");
    const jwk = { kty: "oct", k: toBase64Url(key), alg: "A256KW", key_ops: ["wrapKey"] };
    const recipients = [];
    for (const value of [text, text.replace(/=+$/, ""), toBase64Url(key), JSON.stringify(jwk), `${text}\n`]) {
      const version = emulator.setSecret("forms", value);
      const provider = open("forms");
      const recipient = await wrapOne(provider);
      expect(recipient).toMatchObject({ provider: "azure-key-vault-secret", keyId: emulator.secretUrl("forms", version), alg: 1 });
      recipients.push(recipient);
    }
    for (const recipient of recipients) await unwrapOne(open("forms"), recipient);
  });

  test.each([
    ["of 31 bytes", Buffer.from(noise(31)).toString("base64")],
    ["of 33 bytes", Buffer.from(noise(33)).toString("base64")],
    ["in hex", Buffer.from(noise(32)).toString("hex")],
    ["a password", "correct horse battery staple"],
    ["empty", ""],
    ["broken JSON", `{"kty":"oct","k":"${toBase64Url(noise(32))}"`],
    ["an RSA key", JSON.stringify({ kty: "RSA", k: toBase64Url(noise(32)) })],
    ["a JWK of 16 bytes", JSON.stringify({ kty: "oct", k: toBase64Url(noise(16)) })],
  ])("is refused if it is %s, and no part of it is shown", async (_what, value) => {
    emulator.setSecret("bad", value);
    const error = await refusal(() => wrapOne(open("bad")));
    expect(error).toMatchObject({ code: "provider-failure", detail: "secret-format", retryable: false });
    if (value !== "") expect(`${error.stack} ${error.cause} ${JSON.stringify(error)}`).not.toContain(value.slice(0, 12));
  });

  test("costs two requests, and then none until it is old", async () => {
    emulator.setSecret("calls", base64("calls"));
    const clock = fakeClock(); // behind the service's, as any machine's clock may be
    const provider = open("calls", { clock, versionCacheMs: 60_000 });
    const recipient = await wrapOne(provider);
    expect(emulator.takeRequests().map(({ method, status }) => `${method} ${status}`)).toEqual(["GET 401", "GET 200"]);
    for (let count = 0; count < 5; count++) await unwrapOne(provider, await wrapOne(provider));
    expect(emulator.takeRequests()).toEqual([]);
    clock.advanceNow(60_000);
    await unwrapOne(provider, recipient);
    await unwrapOne(provider, recipient);
    expect(emulator.takeRequests().map(({ path }) => path)).toEqual([`GET /secrets/calls/${recipient.keyId.slice(-32)}`]);
  });

  test("is read once for all who ask at once", async () => {
    emulator.setSecret("flight", base64("flight"));
    const recipient = await wrapOne(open("flight"));
    emulator.takeRequests();
    const provider = open("flight");
    await Promise.all(Array.from({ length: 20 }, () => unwrapOne(provider, recipient)));
    expect(emulator.takeRequests()).toHaveLength(2);
  });

  test("that is disabled or expired does not wrap; disabled it does not unwrap, once it is read again", async () => {
    const clock = fakeClock();
    const version = emulator.setSecret("states", base64("states"));
    const provider = open("states", { clock, versionCacheMs: 60_000 });
    const recipient = await wrapOne(provider);
    emulator.changeSecret("states", version, { enabled: false });
    await unwrapOne(provider, recipient);
    clock.advanceNow(60_000);
    expect(await refusalCode(() => unwrapOne(provider, recipient))).toBe("key-disabled");
    expect(await refusalCode(() => wrapOne(provider))).toBe("key-disabled");
    emulator.changeSecret("states", version, { enabled: true, exp: 1 });
    expect(await refusal(() => wrapOne(provider))).toMatchObject({ code: "key-disabled", detail: "expired" });
    await unwrapOne(provider, recipient);
  });

  test("that is deleted is not found once it is read again, and opens again when it is recovered", async () => {
    const clock = fakeClock();
    emulator.setSecret("deleted", base64("deleted"));
    const provider = open("deleted", { clock, versionCacheMs: 60_000 });
    const recipient = await wrapOne(provider);
    emulator.deleteSecret("deleted");
    await unwrapOne(provider, recipient);
    clock.advanceNow(60_000);
    for (const call of [() => unwrapOne(provider, recipient), () => wrapOne(provider)])
      expect(await refusal(call)).toMatchObject({ code: "key-not-found", retryable: false });
    emulator.recoverSecret("deleted");
    await unwrapOne(provider, recipient);
  });

  test("that is young does not wrap while there is an older one", async () => {
    const clock = fakeClock();
    await using young = await AzureEmulator.start({ clock });
    const old = young.setSecret("young", base64("old"));
    clock.advanceNow(600_000);
    const next = young.setSecret("young", base64("young"));
    const provider = azureSecretKey({ ...young.connection, secretUrl: young.secretUrl("young"), clock });
    expect(await provider.current()).toBe(young.secretUrl("young", old));
    clock.advanceNow(600_000);
    expect(await provider.current()).toBe(young.secretUrl("young", next));
  });

  test("pinned to a version wraps and unwraps with that one alone, and with those that are named", async () => {
    const first = emulator.setSecret("pinned", base64("one"));
    const second = emulator.setSecret("pinned", base64("two"));
    const pinned = azureSecretKey({ ...emulator.connection, secretUrl: emulator.secretUrl("pinned", first) });
    const newer = await wrapOne(open("pinned"));
    expect((await wrapOne(pinned)).keyId).toBe(emulator.secretUrl("pinned", first));
    expect(pinned.owns(newer.keyId)).toBe(false);
    const both = azureSecretKey({ ...emulator.connection, secretUrl: emulator.secretUrl("pinned", first), unwrapVersions: [second] });
    await unwrapOne(both, newer);
  });

  test("without the right to read it says which role to grant", async () => {
    emulator.setSecret("denied", base64("denied"));
    const nobody = emulator.principal({ rights: ["read", "wrapkey", "unwrapkey"] });
    const provider = azureSecretKey({ ...emulator.connectionFor(nobody), secretUrl: emulator.secretUrl("denied") });
    expect(await refusal(() => wrapOne(provider))).toMatchObject({
      code: "access-denied",
      detail: "rbac",
      hint: expect.stringContaining("Key Vault Secrets User"),
    });
  });

  test.each([
    "/keys/orders",
    "/secrets/",
    "/secrets/orders/latest",
    "/secrets/orders?x",
    "/secrets/a/b/c",
  ])("is at no such URL: %s", async (path) => {
    expect(await refusalCode(() => azureSecretKey({ ...emulator.connection, secretUrl: `${emulator.url}${path}` }))).toBe(
      "invalid-argument",
    );
  });
});

describe("keys that were read", () => {
  test("are wiped when they are dropped, and not before the last call that uses them has ended", async () => {
    const clock = fakeClock();
    emulator.setSecret("leases", base64("leases"));
    const location = parseKeyUrl(emulator.secretUrl("leases"), "secrets", emulator.connection);
    const keks = new SecretKeks(new VaultConnection(location, { ...emulator.connection, clock }), location, clock, 60_000);
    const { version } = await keks.read();
    const isUsable = (kek: KeyProvider): Promise<boolean> =>
      wrapOne(kek).then(
        () => true,
        () => false,
      );
    const ended = deferred();
    let old: KeyProvider | undefined;
    const use = keks.use(version, undefined, async (kek) => {
      old = kek;
      await ended.promise;
      return await isUsable(kek);
    });
    clock.advanceNow(60_000);
    const next = await keks.use(version, undefined, async (kek) => kek);
    expect(next).not.toBe(old);
    ended.resolve();
    expect(await use, "the call under way ends well").toBe(true);
    expect(old !== undefined && (await isUsable(old)), "the replaced key").toBe(false);
    await keks.close();
    expect(await isUsable(next), "the kept key, after close").toBe(false);
  });

  test("are wiped beyond 32 versions", async () => {
    emulator.setSecret("many", base64("many 0"));
    const location = parseKeyUrl(emulator.secretUrl("many"), "secrets", emulator.connection);
    const keks = new SecretKeks(new VaultConnection(location, emulator.connection), location, systemClock, 60_000);
    const { version } = await keks.read();
    const first = await keks.use(version, undefined, async (kek) => kek);
    for (let count = 1; count <= 32; count++) {
      emulator.setSecret("many", base64(`many ${count}`));
      await keks.read();
    }
    await expect(wrapOne(first)).rejects.toMatchObject({ code: "closed" });
  });
});

function open(name: string, options: Partial<AzureSecretKeyOptions> = {}): Required<KeyProvider> {
  return azureSecretKey({ ...emulator.connection, secretUrl: emulator.secretUrl(name), minVersionAgeMs: 0, ...options });
}
