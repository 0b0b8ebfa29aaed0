import { afterAll, beforeEach, expect, test } from "vitest";
import { appRole, jwtLogin, kubernetesLogin, type VaultTokenSource, vaultTransitKey } from "../../../providers/vault/index.ts";
import type { KeyProvider, WrapOptions } from "../../../src/core/contracts/key-provider.ts";
import { VaultEmulator } from "../../../src/testing/vault-emulator/index.ts";
import { noise } from "../../support/arbitraries.ts";
import { fakeClock } from "../../support/fake-clock.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";
import { untyped } from "../../support/untyped.ts";

const clock = fakeClock();
const emulator = await VaultEmulator.start({ clock, mounts: ["transit", "team/transit"] });
emulator.createKey("orders");
emulator.createKey("orders", "aes256-gcm96", {}, "team/transit");
afterAll(() => emulator.close());
beforeEach(() => void emulator.takeRequests());
const HOUR_SECONDS = 3600;
const DEK = noise(32, "tokens");
const OPTIONS: WrapOptions = { keyContext: {}, wrapAad: () => new Uint8Array(1) };

const open = (token: VaultTokenSource, more: object = {}): Required<KeyProvider> => {
  return vaultTransitKey({ ...emulator.connection, clock, key: "orders", token, ...more });
};
const operations = (): readonly string[] => emulator.takeRequests().map(({ operation }) => operation ?? "none");

test("an AppRole login is made once for all, and renewed at two thirds of its life", async () => {
  const key = open(appRole(emulator.addAppRole({ ttlSeconds: HOUR_SECONDS, maxTtlSeconds: 100 * HOUR_SECONDS })));
  const recipient = await key.wrap(DEK, OPTIONS);
  expect(operations()).toEqual(["login", "encrypt", "decrypt", "decrypt", "encrypt"]);
  clock.advanceNow(39 * 60_000);
  await Promise.all(Array.from({ length: 5 }, () => key.unwrap(recipient, OPTIONS)));
  expect(operations()).toEqual(Array.from({ length: 5 }, () => "decrypt"));
  clock.advanceNow(60_000);
  await Promise.all(Array.from({ length: 5 }, () => key.unwrap(recipient, OPTIONS)));
  expect(operations()).toEqual(["renew-self", ...Array.from({ length: 5 }, () => "decrypt")]);
});

test("a login follows where a renewal gives no more than half a life", async () => {
  const key = open(appRole(emulator.addAppRole({ ttlSeconds: HOUR_SECONDS, maxTtlSeconds: HOUR_SECONDS + 600 })));
  await key.current();
  clock.advanceNow(41 * 60_000);
  await key.current();
  expect(operations()).toEqual(["login", "read-key", "renew-self", "login", "read-key"]);
});

test("a batch token is not renewed but replaced", async () => {
  const key = open(appRole(emulator.addAppRole({ ttlSeconds: HOUR_SECONDS, isRenewable: false })));
  await key.current();
  clock.advanceNow(41 * 60_000);
  await key.current();
  expect(operations()).toEqual(["login", "read-key", "login", "read-key"]);
});

test("a token that works goes on serving while the login fails", async () => {
  const key = open(appRole(emulator.addAppRole({ ttlSeconds: HOUR_SECONDS, isRenewable: false })));
  await key.current();
  clock.advanceNow(41 * 60_000);
  emulator.failNext("sealed", /login/, 2);
  await key.current();
  clock.advanceNow(18 * 60_000);
  await key.current();
  expect(operations()).toEqual(["login", "read-key", "none", "read-key", "none", "read-key"]);
});

test("a token that is refused is replaced once, and the call made again", async () => {
  const key = open(appRole(emulator.addAppRole()));
  await key.current();
  const token = emulator.token;
  emulator.revokeTokens();
  await key.current();
  expect(operations()).toEqual(["login", "read-key", "none", "login", "read-key"]);
  emulator.failNext("permission-denied", /keys/, 2);
  expect(await refusalCode(() => key.current())).toBe("access-denied");
  expect(operations()).toEqual(["none", "login", "none"]);
  expect(await refusalCode(() => open(token).current()), "a plain token cannot be replaced").toBe("access-denied");
  expect(operations()).toHaveLength(1);
});

test("a secret id that is wrong is access-denied, with what to check", async () => {
  const { roleId } = emulator.addAppRole();
  const error = await refusal(() => open(appRole({ roleId, secretId: "wrong-secret-id" })).current());
  expect(error).toMatchObject({ code: "access-denied", detail: "login" });
  expect(JSON.stringify(error) + error.stack).not.toContain("wrong-secret-id");
});

test("a Kubernetes login reads its token anew each time", async () => {
  emulator.addJwtRole("orders", "jwt-1", { ttlSeconds: 60, isRenewable: false });
  emulator.addJwtRole("orders", "jwt-2", { ttlSeconds: 60, isRenewable: false });
  const jwts = ["jwt-1\n", "jwt-2\n", "jwt-3\n"];
  const key = open(kubernetesLogin({ role: "orders", jwt: async () => jwts.shift() ?? "" }));
  await key.current();
  clock.advanceNow(60_000);
  await key.current();
  expect(jwts).toEqual(["jwt-3\n"]);
  clock.advanceNow(60_000);
  expect(await refusal(() => key.current())).toMatchObject({ code: "access-denied" });
});

test("a JWT login, with a mount of its own and in a namespace", async () => {
  emulator.addJwtRole("ci", "ci-jwt", { namespace: "team" }, "ci-jwt");
  const login = jwtLogin({ role: "ci", jwt: async () => "ci-jwt", mount: "ci-jwt" });
  expect(await open(login, { namespace: "team" }).current()).toBe(`${emulator.url}/team/transit/orders#1`);
  expect(await refusalCode(() => open(login).current()), "the namespace is part of the login").toBe("access-denied");
});

test("a function of the caller's gives tokens, which are asked for again before they end", async () => {
  let asked = 0;
  const key = open(async () => {
    asked++;
    return { token: emulator.issueToken({ ttlSeconds: HOUR_SECONDS }), expiresAtMs: clock.unixMs() + HOUR_SECONDS * 1000 };
  });
  for (let call = 0; call < 3; call++) await key.current();
  expect(asked).toBe(1);
  clock.advanceNow(HOUR_SECONDS * 1000);
  await key.current();
  expect(asked).toBe(2);
});

test("a function that gives no token, or throws, is access-denied", async () => {
  expect(await refusal(() => open(untyped(async () => "token")).current())).toMatchObject({ code: "access-denied", detail: "credential" });
  const failure = new Error("the caller's own");
  for (const source of [() => Promise.reject(failure), appRole({ roleId: "a", secretId: () => Promise.reject(failure) })]) {
    expect(await refusal(() => open(source).current())).toMatchObject({ code: "access-denied", detail: "credential", cause: failure });
  }
});

test.each([
  [() => appRole(untyped({ roleId: "a" }))],
  [() => appRole(untyped({ roleId: "a", secretID: "b" }))],
  [() => kubernetesLogin(untyped({ role: "a", jwt: "token" }))],
  [() => jwtLogin({ role: "a", jwt: async () => "", mount: "../sys" })],
])("a login that is none is refused: %s", async (make) => {
  expect(await refusalCode(make)).toBe("invalid-argument");
});
