import { generateKeyPairSync } from "node:crypto";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import {
  accessTokens,
  type GcpTokenSource,
  gcpKmsKey,
  impersonated,
  metadataServer,
  serviceAccountKey,
} from "../../../providers/gcp-kms/index.ts";
import type { KeyProvider, WrapOptions } from "../../../src/core/contracts/key-provider.ts";
import { GcpKmsEmulator } from "../../../src/testing/gcp-kms-emulator/index.ts";
import { noise } from "../../support/arbitraries.ts";
import { fakeClock } from "../../support/fake-clock.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";
import { untyped } from "../../support/untyped.ts";

const clock = fakeClock();
const emulator = await GcpKmsEmulator.start({ clock });
const ORDERS = emulator.createKey("orders");
afterAll(() => emulator.close());
beforeEach(() => {
  emulator.clearFaults();
  emulator.attach({});
  emulator.takeRequests();
});
const HOUR_MS = 3_600_000;
const DEK = noise(32, "tokens");
const OPTIONS: WrapOptions = { keyContext: {}, wrapAad: () => new Uint8Array(1) };
const EMAIL = "tenant@acme.iam.gserviceaccount.com";

const open = (token: GcpTokenSource): Required<KeyProvider> => gcpKmsKey({ ...emulator.connection, clock, key: ORDERS, token });
const operations = (): readonly string[] => emulator.takeRequests().map(({ operation }) => operation ?? "none");

test("the metadata server is asked once for all, and again before the token ends", async () => {
  const key = open(metadataServer());
  const recipient = await key.wrap(DEK, OPTIONS);
  expect(operations()).toEqual(["token", "encrypt", "decrypt", "decrypt", "encrypt"]);
  clock.advanceNow(HOUR_MS - 121_000);
  await key.unwrap(recipient, OPTIONS);
  expect(operations()).toEqual(["decrypt"]);
  clock.advanceNow(2_000);
  await Promise.all(Array.from({ length: 5 }, () => key.unwrap(recipient, OPTIONS)));
  expect(operations()).toEqual(["token", ...Array.from({ length: 5 }, () => "decrypt")]);
});

test("the metadata server is asked by its own header, over its link-local address", async () => {
  const urls: string[] = [];
  const fetch: typeof emulator.fetch = async (url, request) => {
    urls.push(`${url} ${request.headers["metadata-flavor"]}`);
    return await emulator.fetch(url, request);
  };
  await gcpKmsKey({ ...emulator.connection, fetch, clock, key: ORDERS, token: metadataServer() }).current();
  expect(urls[0]).toBe("http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/token Google");
});

test("a machine without a service account is access-denied, with what to do", async () => {
  emulator.attach(undefined);
  expect(await refusal(() => open(metadataServer()).current())).toMatchObject({
    code: "access-denied",
    detail: "login",
    hint: expect.stringContaining("service account attached"),
  });
});

test("a service account's key file signs for a token, of the scope of Cloud KMS alone", async () => {
  const key = open(serviceAccountKey({ keyFile: emulator.addServiceAccount({ email: EMAIL }) }));
  await key.current();
  const [exchange, read] = emulator.takeRequests();
  expect(read?.principal).toBe(EMAIL);
  const assertion = new URLSearchParams(exchange?.body).get("assertion") ?? "";
  const claims = JSON.parse(Buffer.from(assertion.split(".")[1] ?? "", "base64url").toString());
  expect(claims).toMatchObject({
    iss: EMAIL,
    aud: "https://oauth2.googleapis.com/token",
    scope: "https://www.googleapis.com/auth/cloudkms",
  });
});

test.each([
  -2 * HOUR_MS,
  2 * HOUR_MS,
])("a key's assertion is made again by the service's clock, where this machine's is %i ms off", async (offMs) => {
  const keyFile = emulator.addServiceAccount({ email: EMAIL });
  const wrong = { ...clock, unixMs: () => clock.unixMs() + offMs };
  const token = serviceAccountKey({ keyFile });
  await gcpKmsKey({ ...emulator.connection, clock: wrong, key: ORDERS, token }).current();
  expect(operations()).toEqual(["token", "token", "get"]);
});

test("a key that was deleted is access-denied, and nothing of it is shown", async () => {
  const keyFile = emulator.addServiceAccount({ email: "gone@acme.iam.gserviceaccount.com" });
  emulator.removeServiceAccounts();
  const error = await refusal(() => open(serviceAccountKey({ keyFile })).current());
  expect(error).toMatchObject({ code: "access-denied", detail: "login" });
  expect(operations(), "asked once: the clock was right").toEqual(["token"]);
  expect(JSON.stringify(error) + error.stack).not.toContain(JSON.parse(keyFile).private_key.slice(40, 80));
});

test("an impersonation has a token of its own identity, and each is renewed by itself", async () => {
  emulator.addServiceAccount({ email: EMAIL, ttlSeconds: 600 });
  const key = open(impersonated({ source: metadataServer(), serviceAccount: EMAIL }));
  await key.current();
  expect(operations()).toEqual(["token", "token", "get"]);
  clock.advanceNow(500_000);
  await key.current();
  expect(emulator.takeRequests().map(({ operation, principal }) => `${operation} ${principal}`)).toEqual([
    "token undefined",
    `get ${EMAIL}`,
  ]);
});

test("an impersonation that is not allowed says what to grant", async () => {
  emulator.addServiceAccount({ email: EMAIL });
  emulator.attach({ grants: {} });
  expect(await refusal(() => open(impersonated({ source: metadataServer(), serviceAccount: EMAIL })).current())).toMatchObject({
    code: "access-denied",
    hint: expect.stringContaining("serviceAccountTokenCreator"),
  });
});

test("an impersonation whose own token is refused asks for a new one, once", async () => {
  emulator.addServiceAccount({ email: EMAIL, ttlSeconds: 600 });
  const key = open(impersonated({ source: metadataServer(), serviceAccount: EMAIL }));
  await key.current();
  emulator.revokeTokens();
  emulator.takeRequests();
  await key.current();
  expect(emulator.takeRequests().map(({ operation, status }) => `${operation} ${status}`)).toEqual([
    "undefined 401",
    "undefined 401",
    "token 200",
    "token 200",
    "get 200",
  ]);
});

test("a token that ends between two calls is replaced once, and the call made again", async () => {
  const key = open(metadataServer());
  await key.current();
  emulator.takeRequests();
  emulator.failNext("unauthenticated", /cryptoKeys/);
  await key.current();
  expect(operations()).toEqual(["none", "token", "get"]);
  emulator.failNext("unauthenticated", /cryptoKeys/, 2);
  expect(await refusal(() => key.current())).toMatchObject({ code: "access-denied", detail: "token" });
  expect(operations()).toEqual(["none", "token", "none"]);
});

test("a token that works goes on serving while a new one cannot be had", async () => {
  const key = open(metadataServer());
  await key.current();
  clock.advanceNow(HOUR_MS - 60_000);
  emulator.failNext("unavailable", /computeMetadata/);
  await key.current();
  expect(operations()).toEqual(["token", "get", "none", "get"]);
});

test("a function of the caller's is asked again before its token ends, or after five minutes", async () => {
  let asked = 0;
  const source = async (): Promise<{ readonly token: string }> => {
    asked++;
    return { token: emulator.issueToken() };
  };
  const key = open(source);
  for (let call = 0; call < 3; call++) await key.current();
  clock.advanceNow(299_000);
  await key.current();
  expect(asked).toBe(1);
  clock.advanceNow(40_000);
  await key.current();
  expect(asked).toBe(2);
});

test("a function that gives no token, or throws, is access-denied", async () => {
  const nothing: GcpTokenSource = untyped(async () => undefined);
  for (const given of [async () => ({ token: null }), async () => ({ token: "a\nb" }), nothing]) {
    expect(await refusal(() => open(given).current())).toMatchObject({ code: "access-denied", detail: "credential" });
  }
  const failure = new Error("the caller's own");
  expect(await refusal(() => open(() => Promise.reject(failure)).current())).toMatchObject({ detail: "credential", cause: failure });
});

test.each([
  ["no JSON", "{"],
  ["another kind of credential", JSON.stringify({ type: "authorized_user" })],
  ["another token endpoint", changed({ token_uri: "https://oauth2.example/token" })],
  ["no private key", changed({ private_key: "" })],
  ["no email address", changed({ client_email: "a b" })],
])("a key file with %s is refused, and not quoted", async (_what, keyFile) => {
  const error = await refusal(() => serviceAccountKey({ keyFile }));
  expect(error.code).toBe("invalid-argument");
  expect(`${error.stack}`).not.toContain("PRIVATE KEY-----");
});

test("a key file with an elliptic key is refused at its first use", async () => {
  const pem = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "pkcs8", format: "pem" });
  const login = serviceAccountKey({ keyFile: changed({ private_key: `${pem}` }) });
  expect(await refusalCode(() => open(login).current())).toBe("invalid-argument");
});

test.each([
  [() => impersonated(untyped({ serviceAccount: EMAIL }))],
  [() => impersonated({ source: metadataServer(), serviceAccount: "a/b" })],
  [() => impersonated({ source: metadataServer(), serviceAccount: EMAIL, lifetimeSeconds: 7200 })],
  [() => impersonated({ source: metadataServer(), serviceAccount: EMAIL, delegates: ["x"] })],
  [() => serviceAccountKey(untyped({ keyfile: "{}" }))],
])("a login that is none is refused: %s", async (make) => {
  expect(await refusalCode(make)).toBe("invalid-argument");
});

function changed(members: object): string {
  return JSON.stringify({ ...JSON.parse(emulator.addServiceAccount({ email: "changed@acme.iam.gserviceaccount.com" })), ...members });
}

test("an account by its key file acts as another: its own token is for that alone, the other's for Cloud KMS alone", async () => {
  const source = serviceAccountKey({ keyFile: emulator.addServiceAccount({ email: "own@acme.iam.gserviceaccount.com" }) });
  emulator.addServiceAccount({ email: EMAIL });
  await open(impersonated({ source, serviceAccount: EMAIL })).current();
  const [exchange, impersonation, read] = emulator.takeRequests();
  const assertion = new URLSearchParams(exchange?.body).get("assertion") ?? "";
  expect(Buffer.from(assertion.split(".")[1] ?? "", "base64url").toString()).toContain('"scope":"https://www.googleapis.com/auth/iam"');
  expect(impersonation?.body).toContain('"scope":["https://www.googleapis.com/auth/cloudkms"]');
  expect(read?.principal).toBe(EMAIL);
});

describe("accessTokens", () => {
  const scope = "https://www.googleapis.com/auth/devstorage.read_write";
  const { fetch } = emulator;

  test("gives a token of the scope, keeps it, and replaces one that was refused or ends", async () => {
    const token = accessTokens(serviceAccountKey({ keyFile: emulator.addServiceAccount({ email: EMAIL }) }), { scope, fetch, clock });
    const first = await token();
    expect(await token()).toBe(first);
    const [exchange, ...more] = emulator.takeRequests();
    expect(more).toEqual([]);
    const assertion = new URLSearchParams(exchange?.body).get("assertion") ?? "";
    expect(Buffer.from(assertion.split(".")[1] ?? "", "base64url").toString()).toContain(scope);
    const second = await token(first);
    expect(second).not.toBe(first);
    expect(await token(first)).toBe(second);
    clock.advanceNow(HOUR_MS);
    expect(await token()).not.toBe(second);
    const other = gcpKmsKey({ ...emulator.connection, clock, key: ORDERS, token: async () => ({ token: await token() }) });
    expect(await refusalCode(() => other.current())).toBe("access-denied"); // a token for another service
  });

  test("refuses what is no scope, login or option", async () => {
    for (const given of ["", "cloud-platform", "https://example.com/auth/x", 5, undefined])
      expect(await refusalCode(() => accessTokens(metadataServer(), untyped({ scope: given })))).toBe("invalid-argument");
    expect(await refusalCode(() => accessTokens(untyped("token"), { scope }))).toBe("invalid-argument");
    expect(await refusalCode(() => accessTokens(metadataServer(), untyped({ scope, scopes: [] })))).toBe("invalid-argument");
  });
});
