import { constants, createPublicKey, publicEncrypt, randomBytes } from "node:crypto";
import { request } from "node:https";
import { afterAll, describe, expect, test } from "vitest";
import { azureKey } from "../../../providers/azure/index.ts";
import { refusal } from "../../refusal.ts";
import { unwrapOne, wrapOne } from "./calls.ts";
import { connectionTo } from "./connection.ts";
import { AzureEmulator, TENANT, TOKEN_RESOURCE } from "./emulator/azure-emulator.ts";
import { TransactionLimits } from "./emulator/transaction-limits.ts";
import { FakeClock } from "./fake-clock.ts";

// The emulator against what the service documents, without the SDK between.

const emulator = await AzureEmulator.start();
afterAll(() => emulator[Symbol.asyncDispose]());
const version = await emulator.createKey("orders", { type: "RSA-HSM", bits: 2048 });

describe("answers", () => {
  test("to a request without a token: a challenge with authority and resource", async () => {
    const { status, headers, body } = await ask("GET", "/keys/orders?api-version=7.6", { token: "" });
    expect(status).toBe(401);
    expect(headers["www-authenticate"]).toBe(
      `Bearer authorization="https://login.microsoftonline.com/${TENANT}", resource="${TOKEN_RESOURCE}"`,
    );
    expect(body).toMatchObject({ error: { code: expect.any(String) } });
    expect((await ask("GET", "/keys/orders?api-version=7.6", { token: "of somebody else" })).status).toBe(401);
  });

  test("with a key: its id with version, type, operations, public half and attributes in seconds", async () => {
    const { status, body } = await ask("GET", "/keys/orders?api-version=7.6");
    expect(status).toBe(200);
    const { key, attributes } = Object(body);
    expect(key).toEqual({
      kid: emulator.keyUrl("orders", version),
      kty: "RSA-HSM",
      key_ops: expect.arrayContaining(["wrapKey"]),
      n: expect.any(String),
      e: "AQAB",
    });
    expect(attributes).toMatchObject({ enabled: true, created: expect.any(Number), recoveryLevel: expect.any(String) });
    expect(attributes.created).toBeLessThan(Date.now() / 1000);
  });

  test("what the public half wrapped elsewhere", async () => {
    const { key } = Object((await ask("GET", `/keys/orders/${version}?api-version=7.6`)).body);
    const publicKey = createPublicKey({ key: { kty: "RSA", n: key.n, e: key.e }, format: "jwk" });
    const dek = randomBytes(32);
    const wrapped = publicEncrypt({ key: publicKey, oaepHash: "sha256", padding: constants.RSA_PKCS1_OAEP_PADDING }, dek);
    const { body } = await ask("POST", `/keys/orders/${version}/unwrapkey?api-version=7.6`, {
      json: { alg: "RSA-OAEP-256", value: wrapped.toString("base64url") },
    });
    expect(body).toEqual({ kid: emulator.keyUrl("orders", version), value: dek.toString("base64url") });
  });

  test.each([
    ["GET", "/keys/orders", 400, "BadParameter"],
    ["GET", "/keys/nobody?api-version=7.6", 404, "KeyNotFound"],
    ["GET", `/keys/orders/${"0".repeat(32)}?api-version=7.6`, 404, "KeyNotFound"],
    ["POST", `/keys/orders/${version}/wrapkey?api-version=7.6`, 400, "BadParameter"],
    ["POST", `/keys/orders/${version}/polish?api-version=7.6`, 405, "MethodNotAllowed"],
  ])("%s %s with %i", async (method, path, status, code) => {
    const answer = await ask(method, path);
    expect([answer.status, Object(answer.body).error.code]).toEqual([status, code]);
  });
});

describe("limits of a vault", () => {
  test("weigh each operation by its key, over any 10 seconds, and do not count what they turn away", () => {
    const clock = new FakeClock();
    const limits = new TransactionLimits(clock.now);
    const take = (type: "RSA" | "RSA-HSM", bits: number, count: number): number => {
      let taken = 0;
      for (let place = 0; place < count; place++) if (limits.take({ type, bits })) taken++;
      return taken;
    };
    expect(take("RSA-HSM", 2048, 3000)).toBe(2000);
    expect(take("RSA", 2048, 1)).toBe(0);
    clock.advance(9_999);
    expect(take("RSA-HSM", 2048, 1)).toBe(0);
    clock.advance(1);
    expect([take("RSA-HSM", 4096, 125), take("RSA-HSM", 2048, 3000)]).toEqual([125, 1000]);
    expect(limits.peak).toBeCloseTo(1);
  });

  test("are met over the wire, and pass with time", async () => {
    const clock = new FakeClock();
    await using limited = await AzureEmulator.start({ now: clock.now, hasLimits: true, retryAfterSeconds: 4 });
    await limited.createKey("orders", { type: "RSA-HSM", bits: 4096 });
    const provider = azureKey({ ...connectionTo(limited), keyUrl: limited.keyUrl("orders"), clock });
    const recipient = await wrapOne(provider);
    for (let place = 1; place < 250; place++) await wrapOne(provider);
    expect(await refusal(() => unwrapOne(provider, recipient))).toMatchObject({ code: "rate-limited", retryAfterMs: 4000 });
    clock.advance(10_000);
    await unwrapOne(provider, recipient);
  });
});

interface Asked {
  readonly token?: string;
  readonly json?: object;
}

interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: unknown;
}

async function ask(method: string, path: string, { token = emulator.token, json }: Asked = {}): Promise<Answered> {
  const headers = token === "" ? {} : { authorization: `Bearer ${token}` };
  return await new Promise((resolve, reject) => {
    const asked = request(`${emulator.url}${path}`, { method, headers, ca: emulator.ca }, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("end", () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: JSON.parse(Buffer.concat(parts).toString()) });
      });
    });
    asked.on("error", reject);
    asked.end(json === undefined ? undefined : JSON.stringify(json));
  });
}
