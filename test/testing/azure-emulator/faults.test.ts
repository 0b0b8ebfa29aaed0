import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { Answer, AzureEmulator, type Fault, throttled } from "../../../src/testing/azure-emulator/index.ts";
import { TransactionLimits } from "../../../src/testing/azure-emulator/transaction-limits.ts";
import { fakeClock } from "../../support/fake-clock.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";
import { untyped } from "../../support/untyped.ts";
import { ask } from "./ask.ts";

const clock = fakeClock();
const emulator = await AzureEmulator.start({ clock });
afterAll(async () => await emulator.close());

const WRAP = { json: { alg: "A256KW", value: Buffer.alloc(32).toString("base64url") } };
let version = "";
beforeEach(async () => {
  emulator.clearFaults();
  version = await emulator.createKey("orders", { type: "oct-HSM" });
  emulator.takeRequests();
});

describe("a fault by name", () => {
  test.each<[Fault, string]>([
    ["throttled", "429 Throttled"],
    ["throttled:7", "429 Throttled"],
    ["timeout", "408 RequestTimeout"],
    ["internal-error", "500 InternalServerError"],
    ["bad-gateway", "502 BadGateway"],
    ["unavailable", "503 ServiceUnavailable"],
    ["rbac", "403 Forbidden ForbiddenByRbac"],
    ["policy", "403 Forbidden ForbiddenByPolicy"],
    ["firewall", "403 Forbidden ForbiddenByFirewall"],
    ["private-link", "403 Forbidden ForbiddenByConnection"],
    ["disabled", "403 Forbidden KeyDisabled"],
    ["expired", "403 Forbidden KeyExpired"],
    ["not-yet-valid", "403 Forbidden KeyNotYetValid"],
    ["deleted", "404 KeyNotFound"],
    ["not-replicated", "404 KeyNotFound"],
    ["claims", "401 Unauthorized"],
  ])("%s is answered once, with %s", async (fault, gist) => {
    emulator.failNext(fault);
    const failed = await ask(emulator, "GET", "/keys/orders");
    expect(failed.gist).toBe(gist);
    expect(failed.headers["retry-after"]).toBe(fault === "throttled:7" ? "7" : undefined);
    expect((await ask(emulator, "GET", "/keys/orders")).status).toBe(200);
  });

  test.each(["reset", "garbage", "cut"] as const)("%s gives no answer that can be read", async (fault) => {
    emulator.failNext(fault);
    await expect(ask(emulator, "GET", "/keys/orders")).rejects.toThrow();
    expect((await ask(emulator, "GET", "/keys/orders")).status).toBe(200);
  });

  test("hang never answers", async () => {
    emulator.failNext("hang");
    const asked = ask(emulator, "GET", "/keys/orders").catch((error: unknown) => error);
    while (emulator.requests.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect((await ask(emulator, "GET", "/keys/orders")).status).toBe(200);
    expect(emulator.requests.map(({ status }) => status)).toEqual([0, 200]);
    void asked;
  });

  test("slow answers by the emulator's clock", async () => {
    emulator.failNext("slow:2000");
    const asked = ask(emulator, "GET", "/keys/orders");
    while (clock.timers === 0) await new Promise((resolve) => setImmediate(resolve));
    clock.advanceNow(1999);
    expect(clock.timers).toBe(1);
    clock.advanceNow(1);
    expect((await asked).status).toBe(200);
  });

  test("rotation is over before the request is answered", async () => {
    emulator.failNext("rotation", /wrapkey$/);
    const { body } = await ask(emulator, "POST", "/keys/orders//wrapkey", WRAP);
    expect(body).toMatchObject({ kid: emulator.keyUrl("orders", emulator.newestVersion("orders")) });
    expect(emulator.newestVersion("orders")).not.toBe(version);
    emulator.failNext("rotation", /wrapkey$/);
    expect((await ask(emulator, "POST", `/keys/orders/${version}/wrapkey`, WRAP)).body).toMatchObject({
      kid: emulator.keyUrl("orders", version),
    });
  });

  test("that is none is refused", async () => {
    for (const name of ["nothing", "slow", "slow:-1", "throttled:soon", "toString"]) {
      expect(await refusalCode(() => emulator.failNext(untyped(name)))).toBe("invalid-argument");
    }
  });
});

describe("a fault", () => {
  test("is met by the requests that it is meant for, as often as asked, and in turn with others", async () => {
    emulator.failNext("unavailable", /^POST .*wrapkey$/, 2);
    emulator.failNext(throttled(3), /^POST/);
    expect((await ask(emulator, "GET", "/keys/orders")).status).toBe(200);
    const met: number[] = [];
    for (let count = 0; count < 4; count++) met.push((await ask(emulator, "POST", "/keys/orders//wrapkey", WRAP)).status);
    expect(met).toEqual([503, 503, 429, 200]);
    emulator.failNext("unavailable", /^/, Number.POSITIVE_INFINITY);
    for (let count = 0; count < 3; count++) expect((await ask(emulator, "GET", "/keys/orders")).status).toBe(503);
    emulator.clearFaults();
    expect((await ask(emulator, "GET", "/keys/orders")).status).toBe(200);
  });

  test("may be an answer of one's own, any text, or something that happens meanwhile", async () => {
    emulator.failNext(new Answer(409, { code: "Conflict", innerCode: "ObjectIsBeingRecovered" }, { "x-own": "1" }));
    expect(await ask(emulator, "GET", "/keys")).toMatchObject({ gist: "409 Conflict ObjectIsBeingRecovered", headers: { "x-own": "1" } });
    emulator.failNext({ status: 418, text: '{"value":"tea"}' });
    expect(await ask(emulator, "GET", "/keys")).toMatchObject({ status: 418, body: { value: "tea" } });
    emulator.failNext({ meanwhile: () => emulator.change("orders", version, { enabled: false }) });
    expect((await ask(emulator, "GET", "/keys/orders")).body.attributes).toMatchObject({ enabled: false });
  });
});

describe("who asks", () => {
  test("may do what its rights say, by role or by access policy", async () => {
    const reader = emulator.principal({ name: "reader", rights: ["unwrapkey"] });
    const refused = await ask(emulator, "POST", "/keys/orders//wrapkey", { ...WRAP, token: reader.token });
    expect(refused.gist).toBe("403 Forbidden ForbiddenByRbac");
    expect(JSON.stringify(refused.body)).toContain("reader has no role for the action keys/wrap/action");
    expect((await ask(emulator, "GET", "/keys/orders", { token: reader.token })).status).toBe(403);
    const sealed = (await ask(emulator, "POST", "/keys/orders//wrapkey", WRAP)).body.value;
    const json = { alg: "A256KW", value: sealed };
    expect((await ask(emulator, "POST", "/keys/orders//unwrapkey", { json, token: reader.token })).status).toBe(200);
    const { token } = emulator.principal({ rights: [], accessModel: "access-policy" });
    expect((await ask(emulator, "GET", "/keys/orders", { token })).gist).toBe("403 Forbidden ForbiddenByPolicy");
  });

  test("may do it once the assignment of its role has spread", async () => {
    const { token } = emulator.principal({ rightsAfterMs: 300_000 });
    clock.advanceNow(299_999);
    expect((await ask(emulator, "GET", "/keys/orders", { token })).gist).toBe("403 Forbidden ForbiddenByRbac");
    clock.advanceNow(1);
    expect((await ask(emulator, "GET", "/keys/orders", { token })).status).toBe(200);
  });

  test("needs a token that is not over", async () => {
    const { token, expiresOnTimestamp } = await emulator.getToken(`${emulator.tokenResource}/.default`);
    clock.advanceNow(expiresOnTimestamp - clock.unixMs() - 1);
    expect((await ask(emulator, "GET", "/keys/orders", { token })).status).toBe(200);
    clock.advanceNow(1);
    expect((await ask(emulator, "GET", "/keys/orders", { token })).status).toBe(401);
    expect((await ask(emulator, "GET", "/keys/orders")).status).toBe(200);
  });

  test("is asked for claims after tokens were revoked, until a token was got with them", async () => {
    emulator.revokeTokens();
    for (let count = 0; count < 2; count++) {
      const { status, headers } = await ask(emulator, "GET", "/keys/orders");
      expect(status).toBe(401);
      const [, claims = ""] = /error="insufficient_claims", claims="([^"]+)"$/.exec(`${headers["www-authenticate"]}`) ?? [];
      expect(JSON.parse(atob(claims))).toMatchObject({ access_token: expect.any(Object) });
    }
    const old = emulator.token;
    const { token } = await emulator.getToken(emulator.tokenResource, { claims: "any" });
    expect((await ask(emulator, "GET", "/keys/orders", { token })).status).toBe(200);
    expect((await ask(emulator, "GET", "/keys/orders", { token: old })).status).toBe(401);
  });

  test.each([
    ["firewall", "ForbiddenByFirewall"],
    ["private-link", "ForbiddenByConnection"],
  ] as const)("from a network that a %s keeps out is refused, and shown its address", async (shield, inner) => {
    emulator.shieldBy(shield);
    const { gist, headers } = await ask(emulator, "GET", "/keys/orders");
    expect([gist, headers["x-ms-keyvault-network-info"]]).toEqual([`403 Forbidden ${inner}`, expect.stringContaining("addr=127.0.0.1;")]);
    expect((await ask(emulator, "GET", "/keys/orders", { token: "" })).status, "tokens come first").toBe(401);
    emulator.shieldBy(undefined);
    expect((await ask(emulator, "GET", "/keys/orders")).status).toBe(200);
  });
});

test("a new version is seen once it has reached the region", async () => {
  await using slow = await AzureEmulator.start({ clock, replicationLagMs: 360_000 });
  await slow.createKey("orders", { type: "oct-HSM" });
  const { body } = await ask(slow, "POST", "/keys/orders/rotate");
  const { kid } = Object(body.key);
  clock.advanceNow(359_999);
  expect((await ask(slow, "GET", new URL(kid).pathname)).gist).toBe("404 KeyNotFound");
  expect((await ask(slow, "POST", "/keys/orders//wrapkey", WRAP)).body).not.toMatchObject({ kid });
  clock.advanceNow(1);
  expect((await ask(slow, "POST", "/keys/orders//wrapkey", WRAP)).body).toMatchObject({ kid });
});

test("the log says who asked for what, when, and what came of it", async () => {
  const writer = emulator.principal({ name: "writer", rights: ["wrapkey"] });
  await ask(emulator, "POST", "/keys/orders//wrapkey", { ...WRAP, token: writer.token });
  const { headers } = await ask(emulator, "GET", "/keys/orders", { token: writer.token });
  await ask(emulator, "GET", "/keys/orders", { token: "" });
  const common = { atMs: clock.unixMs(), clientRequestId: undefined, isAbandoned: false, requestId: expect.any(String) };
  expect(emulator.takeRequests()).toEqual([
    {
      ...common,
      method: "POST",
      path: "POST /keys/orders//wrapkey",
      body: JSON.stringify(WRAP.json),
      hasToken: true,
      principal: "writer",
      operationName: "KeyWrap",
      status: 200,
    },
    expect.objectContaining({ operationName: "KeyGet", principal: "writer", status: 403, requestId: headers["x-ms-request-id"] }),
    expect.objectContaining({ operationName: undefined, principal: undefined, hasToken: false, status: 401 }),
  ]);
  expect(emulator.requests).toEqual([]);
});

describe("in this process", () => {
  test("what is done to a key that is not there is the library's error", async () => {
    for (const work of [
      () => emulator.rotate("nobody"),
      () => emulator.softDelete("nobody"),
      () => emulator.recover("orders"),
      () => emulator.newestVersion("nobody"),
      () => emulator.change("orders", "0".repeat(32), {}),
      () => emulator.deleteSecret("nobody"),
    ]) {
      expect(await refusalCode(work)).toBe("key-not-found");
    }
    expect(await refusal(() => emulator.createKey("small", { type: "RSA", bits: 512 }))).toMatchObject({ code: "invalid-argument" });
    expect(await refusalCode(() => emulator.createKey("a/b", { type: "oct-HSM" }))).toBe("invalid-argument");
  });

  test("a port that is taken is an error", async () => {
    const port = Number(emulator.host.split(":")[1]);
    expect(await refusalCode(() => AzureEmulator.start({ port }))).toBe("unavailable");
  });
});

describe("limits of a vault", () => {
  test("weigh each operation by its key, over any 10 seconds, and do not count what they turn away", () => {
    const time = fakeClock();
    const limits = new TransactionLimits(() => time.unixMs());
    const take = (type: "RSA" | "RSA-HSM" | "EC-HSM", bits: number, count: number): number => {
      let taken = 0;
      for (let place = 0; place < count; place++) if (limits.take({ type, bits })) taken++;
      return taken;
    };
    expect(take("RSA-HSM", 2048, 3000)).toBe(2000);
    expect(take("RSA", 2048, 1)).toBe(0);
    time.advanceNow(9_999);
    expect(take("RSA-HSM", 2048, 1)).toBe(0);
    time.advanceNow(1);
    expect([take("RSA-HSM", 4096, 125), take("RSA-HSM", 2048, 3000)]).toEqual([125, 1000]);
    expect(limits.peak).toBeCloseTo(1);
  });

  // transactions in 10 s for each vault and region, as the service documents them
  test.each([
    ["RSA", 2048, 4000, 20],
    ["RSA", 3072, 1000, 20],
    ["RSA", 4096, 500, 20],
    ["RSA-HSM", 2048, 2000, 10],
    ["RSA-HSM", 3072, 500, 10],
    ["RSA-HSM", 4096, 250, 10],
    ["EC", 256, 4000, 20],
    ["EC-HSM", 521, 2000, 10],
  ] as const)("let through of %s %i: %i, and create %i", (type, bits, others, creations) => {
    const limits = new TransactionLimits(() => 0);
    let taken = 0;
    while (limits.take({ type, bits })) taken++;
    let created = 0;
    while (limits.takeCreation({ type, bits })) created++;
    expect([taken, created]).toEqual([others, creations]);
  });

  test("are met over the wire by reads, uses and creations, and pass with time; a Managed HSM has none", async () => {
    const time = fakeClock();
    await using limited = await AzureEmulator.start({ clock: time, hasLimits: true, retryAfterSeconds: 4 });
    await using unlimited = await AzureEmulator.start({ flavour: "managed-hsm", clock: time, hasLimits: true });
    const json = { kty: "EC-HSM" };
    const creations = async (on: AzureEmulator) => {
      const met: number[] = [];
      for (let count = 0; count < 12; count++) met.push((await ask(on, "POST", `/keys/key-${count}/create`, { json })).status);
      return met.filter((status) => status === 200).length;
    };
    expect([await creations(limited), await creations(unlimited)]).toEqual([10, 12]);
    expect(await ask(limited, "POST", "/keys/more/create", { json })).toMatchObject({
      gist: "429 Throttled",
      headers: { "retry-after": "4" },
    });
    await limited.createKey("large", { type: "RSA-HSM", bits: 4096 });
    for (let count = 0; count < 250; count++) expect((await ask(limited, "GET", "/keys/large")).status).toBe(200);
    expect((await ask(limited, "GET", "/keys/large")).gist).toBe("429 Throttled");
    time.advanceNow(10_000);
    expect((await ask(limited, "GET", "/keys/large")).status).toBe(200);
    expect((await ask(limited, "POST", "/keys/more/create", { json })).status).toBe(200);
  });
});
