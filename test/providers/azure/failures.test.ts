import { afterAll, describe, expect, test } from "vitest";
import { azureKey } from "../../../providers/azure/index.ts";
import type { ErrorCode } from "../../../src/core/base/errors.ts";
import { Answer, AzureEmulator, type Fault, forbidden } from "../../../src/testing/azure-emulator/index.ts";
import { fakeClock } from "../../support/fake-clock.ts";
import { refusal } from "../../support/refusal.ts";
import { untyped } from "../../support/untyped.ts";
import { unwrapOne, wrapOne } from "./calls.ts";

const emulator = await AzureEmulator.start();
afterAll(() => emulator[Symbol.asyncDispose]());
await emulator.createKey("orders", { type: "oct-HSM", bits: 256 });
const provider = azureKey({ ...emulator.connection, keyUrl: emulator.keyUrl("orders") });
const recipient = await wrapOne(provider);

type Row = readonly [name: string, fault: Fault, code: ErrorCode, more?: object];
const answer = (status: number, code = "", headers = {}, innerCode?: string) =>
  new Answer(status, { code, message: "from the service", ...(innerCode !== undefined && { innerCode }) }, headers);
const unauthorized = (message: string) => new Answer(401, { code: "Unauthorized", message });
const conflict = (innerCode: string) => answer(409, "Conflict", {}, innerCode);

const TABLE: readonly Row[] = [
  ["a bad parameter", answer(400, "BadParameter"), "unwrap-rejected", { retryable: false }],
  [
    "a role that is missing",
    forbidden("ForbiddenByRbac"),
    "access-denied",
    { detail: "rbac", hint: expect.stringContaining("keys/unwrap/action") },
  ],
  ["an access policy", forbidden("ForbiddenByPolicy"), "access-denied", { detail: "policy", hint: expect.stringContaining("unwrapKey") }],
  ["a private link", forbidden("ForbiddenByConnection"), "access-denied", { detail: "private-link" }],
  ["a disabled key", forbidden("KeyDisabled"), "key-disabled", { detail: "disabled", retryable: false }],
  ["an expired key", forbidden("KeyExpired"), "key-disabled", { detail: "expired" }],
  ["a key that is not valid yet", forbidden("KeyNotYetValid"), "key-disabled", { detail: "not-yet-valid" }],
  ["any other refusal", forbidden("SomethingNew"), "access-denied", { detail: "forbidden" }],
  ["another tenant", unauthorized("AKV10032: The issuer is another."), "access-denied", { detail: "tenant" }],
  ["another audience", unauthorized("AKV10022: The audience is another."), "access-denied", { detail: "token" }],
  ["a token that is refused", answer(401, "Unauthorized"), "access-denied", { detail: "token" }],
  ["no such key", answer(404, "KeyNotFound"), "key-not-found", { hint: expect.stringContaining("recovered") }],
  ["a slow service", answer(408), "timeout", { retryable: true }],
  ["a recovery under way", conflict("ObjectIsBeingRecovered"), "unavailable", { detail: "in-transition", retryable: true }],
  ["a deletion", conflict("ObjectIsDeletedButRecoverable"), "provider-failure", { detail: "conflict", retryable: false }],
  ["a limit", answer(429, "Throttled"), "rate-limited", { retryable: true, retryAfterMs: undefined }],
  ["a limit in seconds", answer(429, "Throttled", { "retry-after": "3" }), "rate-limited", { retryAfterMs: 3000 }],
  ["a limit in milliseconds", answer(429, "", { "x-ms-retry-after-ms": "250", "retry-after": "3" }), "rate-limited", { retryAfterMs: 250 }],
  ["a wait that is no number", answer(503, "", { "retry-after": "soon" }), "unavailable", { retryAfterMs: undefined }],
  ["an internal error", answer(500, "InternalError"), "unavailable", { retryable: true }],
  ["a page of a proxy", { status: 502, text: "<html>", headers: { "content-type": "text/html" } }, "unavailable", { retryable: true }],
  ["an empty 403", { status: 403, text: "" }, "access-denied", { detail: "forbidden" }],
  ["a status that nobody expects", { status: 418, text: "{}" }, "provider-failure", { retryable: false }],
  ["what is not implemented", { status: 501, text: "{}" }, "provider-failure", { retryable: false }],
  ["a reset", "reset", "unavailable", { detail: "connection", retryable: true }],
  ["no JSON", "garbage", "provider-failure", { detail: "broken-answer", retryable: true }],
  ["an answer without end", "endless", "provider-failure", { detail: "transport", retryable: true }],
  [
    "an answer of 64 KiB and a byte",
    { status: 200, text: " ".repeat(65_537) },
    "provider-failure",
    { detail: "transport", retryable: true },
  ],
  ["JSON that breaks off", "cut", "provider-failure", { detail: "broken-answer", retryable: true }],
  ["JSON of another kind", { status: 200, text: "[]" }, "provider-failure", { detail: "broken-answer" }],
  ["no bytes", { status: 200, text: '{"value":""}' }, "provider-failure", { detail: "broken-answer" }],
  ["a data key of another length", { status: 200, text: '{"value":"AAAA"}' }, "unwrap-rejected", {}],
  [
    "another version's answer",
    { status: 200, text: `{"kid":"https://x.example/keys/a/b","value":"${"A".repeat(43)}"}` },
    "provider-failure",
    {},
  ],
];

describe("unwrap", () => {
  for (const [name, fault, code, more = {}] of TABLE) {
    test(`${name}: ${code}`, async () => {
      emulator.failNext(fault);
      expect(await refusal(() => unwrapOne(provider, recipient))).toMatchObject({ code, ...more });
      await unwrapOne(provider, recipient);
    });
  }
});

test("a 400 to a wrap is no verdict on a wrapped key", async () => {
  emulator.failNext(answer(400, "BadParameter"));
  expect(await refusal(() => wrapOne(provider))).toMatchObject({ code: "provider-failure", detail: "bad-request" });
});

test("a firewall: the hint has the address that the vault saw", async () => {
  emulator.failNext(
    forbidden("ForbiddenByFirewall", { "x-ms-keyvault-network-info": "conn_type=Ipv4;addr=203.0.113.7;act_addr_fam=InterNetwork;" }),
  );
  const { detail, hint, cause } = await refusal(() => unwrapOne(provider, recipient));
  expect([detail, hint]).toEqual(["firewall", expect.stringContaining("203.0.113.7")]);
  expect(cause).toMatchObject({
    status: 403,
    code: "Forbidden",
    innerCode: "ForbiddenByFirewall",
    callerAddress: "203.0.113.7",
    requestId: emulator.requests.at(-1)?.requestId,
    clientRequestId: emulator.requests.at(-1)?.clientRequestId,
  });
});

test("headers that are made up stay out of hint and cause", async () => {
  emulator.failNext(forbidden("ForbiddenByFirewall", { "x-ms-keyvault-network-info": "addr=<b>x</b>;", "x-ms-request-id": "a b" }));
  const { hint, cause } = await refusal(() => unwrapOne(provider, recipient));
  expect(hint).not.toContain("<");
  expect(cause).toMatchObject({ callerAddress: undefined, requestId: undefined });
});

test("the cause tells what the service says of rights, and never quotes a 400", async () => {
  emulator.failNext(answer(403, "Forbidden"));
  expect((await refusal(() => unwrapOne(provider, recipient))).cause).toMatchObject({ message: "from the service" });
  emulator.failNext(answer(400, "BadParameter"));
  expect((await refusal(() => unwrapOne(provider, recipient))).cause).toMatchObject({ message: "status 400" });
});

test("a right to each operation, named where it is missing", async () => {
  const fresh = azureKey({ ...emulator.connection, keyUrl: emulator.keyUrl("orders") });
  emulator.deny("read");
  expect((await refusal(() => wrapOne(fresh))).hint).toContain("Key Vault Crypto Service Encryption User");
  emulator.allow("read");
  emulator.deny("wrapkey");
  expect((await refusal(() => wrapOne(fresh))).hint).toContain("keys/wrap/action");
  emulator.allow("wrapkey");
  await wrapOne(fresh);
});

test("a host that nobody has, a port that nobody listens on, a certificate that nobody signed", async () => {
  const { client, ...untrusting } = emulator.connection;
  const at = (host: string, more: object = {}) =>
    azureKey({ ...emulator.connection, keyUrl: `https://${host}/keys/orders`, allowedHosts: [host], ...more });
  expect(await refusal(() => at("127.0.0.1:1").current())).toMatchObject({ code: "unavailable", detail: "connection" });
  expect(await refusal(() => at("nobody.invalid").current())).toMatchObject({ code: "unavailable", detail: "dns" });
  const distrustful = azureKey({ ...untrusting, keyUrl: emulator.keyUrl("orders") });
  expect(await refusal(() => distrustful.current())).toMatchObject({ code: "unavailable", detail: "tls", retryable: false });
  expect(client?.tlsOptions?.ca).toContain("CERTIFICATE");
});

describe("a credential", () => {
  const withToken = (getToken: () => Promise<unknown>) =>
    azureKey({ ...emulator.connection, keyUrl: emulator.keyUrl("orders"), credential: { getToken: untyped(getToken) } });

  test("that gives no token", async () => {
    for (const token of [null, {}, { token: 7, expiresOnTimestamp: 0 }]) {
      const failure = await refusal(() => withToken(async () => token).current());
      expect(failure).toMatchObject({ code: "access-denied", detail: "credential", retryable: false });
    }
  });

  test("that fails, then works: each call asks it again, and nothing goes out without a token", async () => {
    let isBroken = true;
    const flaky = withToken(async () => {
      if (isBroken) throw Object.assign(new Error("no managed identity here"), { name: "CredentialUnavailableError" });
      return await emulator.getToken("https://vault.azure.net/.default");
    });
    const { code, detail, cause } = await refusal(() => unwrapOne(flaky, recipient));
    expect([code, detail, `${cause}`]).toEqual(["access-denied", "credential", expect.stringContaining("no managed identity here")]);
    isBroken = false;
    emulator.takeRequests();
    await unwrapOne(flaky, recipient);
    expect(emulator.takeRequests().filter(({ body, hasToken }) => body !== "" && !hasToken)).toEqual([]);
  });

  test("that throws where it should reject", async () => {
    const clock = fakeClock();
    const getToken = (): never => {
      throw new Error("at once");
    };
    const hasty = azureKey({ ...emulator.connection, keyUrl: emulator.keyUrl("orders"), credential: { getToken }, clock });
    expect(await refusal(() => hasty.current())).toMatchObject({ code: "access-denied", detail: "credential" });
    expect(clock.timers).toBe(0);
  });

  test("that cannot reach its authority", async () => {
    const offline = withToken(async () => await Promise.reject(Object.assign(new Error("no route"), { code: "ENOTFOUND" })));
    expect(await refusal(() => offline.current())).toMatchObject({ code: "unavailable", detail: "credential", retryable: true });
  });

  test("of another tenant than the vault's", async () => {
    const stranger = emulator.principal({ tenantId: "99999999-2222-3333-4444-555555555555" });
    const foreign = azureKey({ ...emulator.connectionFor(stranger), keyUrl: emulator.keyUrl("orders") });
    expect(await refusal(() => foreign.current())).toMatchObject({ code: "access-denied", detail: "tenant" });
  });

  test("whose token is not taken", async () => {
    const stranger = withToken(async () => ({ token: "of somebody else", expiresOnTimestamp: Date.now() + 3_600_000 }));
    expect(await refusal(() => stranger.current())).toMatchObject({ code: "access-denied", detail: "token" });
  });
});
