import { constants, createPublicKey, publicEncrypt, randomBytes } from "node:crypto";
import { afterAll, describe, expect, test } from "vitest";
import { AzureEmulator } from "../../../src/testing/azure-emulator/index.ts";
import { fakeClock } from "../../support/fake-clock.ts";
import { type AnswerFields, ask } from "./ask.ts";

// The emulator against what the service documents, without a client between.

const emulator = await AzureEmulator.start();
const hsm = await AzureEmulator.start({ flavour: "managed-hsm" });
afterAll(async () => await Promise.all([emulator.close(), hsm.close()]));
const version = await emulator.createKey("orders", { type: "RSA-HSM", tags: { purpose: "test" } });

const ATTRIBUTES = {
  enabled: true,
  created: expect.any(Number),
  updated: expect.any(Number),
  recoveryLevel: "Recoverable+Purgeable",
  recoverableDays: 90,
  exportable: false,
  hsmPlatform: "2",
};
const JWK = {
  kid: emulator.keyUrl("orders", version),
  kty: "RSA-HSM",
  key_ops: ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"],
  n: expect.stringMatching(/^[\w-]{342}$/),
  e: "AQAB",
};

describe("a request without a good token", () => {
  test("is answered with a challenge that names authority and resource", async () => {
    for (const token of ["", "of-somebody-else"]) {
      const { status, headers, body } = await ask(emulator, "GET", "/keys/orders", { token });
      expect(status).toBe(401);
      expect(headers["www-authenticate"]).toBe(
        `Bearer authorization="https://login.microsoftonline.com/${emulator.tenantId}", resource="https://vault.azure.net"`,
      );
      expect(body).toEqual({ error: { code: "Unauthorized", message: expect.stringMatching(/^AKV100\d\d: /) } });
    }
    expect((await ask(hsm, "GET", "/keys", { token: "" })).headers["www-authenticate"]).toContain(
      'resource="https://managedhsm.azure.net"',
    );
  });

  test("says what is wrong with a token for others, or of others", async () => {
    const { token: elsewhere } = await emulator.getToken("https://managedhsm.azure.net/.default");
    const stranger = emulator.principal({ tenantId: "99999999-2222-3333-4444-555555555555" });
    for (const [token, code] of [
      [elsewhere, "AKV10022"],
      [stranger.token, "AKV10032"],
    ] as const) {
      const { body } = await ask(emulator, "GET", "/keys/orders", { token });
      expect(body).toMatchObject({ error: { message: expect.stringContaining(code) } });
    }
  });
});

describe("a key", () => {
  test("is shown with id, public half, attributes in seconds, and tags", async () => {
    const { status, body, headers } = await ask(emulator, "GET", `/keys/orders/${version}`);
    expect(status).toBe(200);
    expect(body).toEqual({ key: JWK, attributes: ATTRIBUTES, tags: { purpose: "test" } });
    expect(headers).toMatchObject({
      "content-type": "application/json; charset=utf-8",
      "x-ms-request-id": expect.stringMatching(/^[0-9a-f-]{36}$/),
      "x-ms-keyvault-network-info": expect.stringContaining("addr=127.0.0.1;"),
    });
    for (const path of ["/keys/orders", "/keys/orders/", "/keys/ORDERS"]) expect((await ask(emulator, "GET", path)).body).toEqual(body);
  });

  test.each([
    ["EC", { kty: "EC", crv: "P-384" }, { crv: "P-384", x: expect.any(String), y: expect.any(String) }, ["sign", "verify"]],
    ["oct-HSM", { kty: "oct-HSM", key_size: 192 }, {}, ["encrypt", "decrypt", "wrapKey", "unwrapKey"]],
  ])("of type %s shows its public half, if it has one, and never its private", async (_type, json, publicHalf, key_ops) => {
    const { body } = await ask(emulator, "POST", `/keys/${json.kty}-key/create`, { json });
    expect(body.key).toEqual({ kid: expect.any(String), kty: json.kty, key_ops, ...publicHalf });
  });

  test("created again gets a further version; dates, operations and tags are kept", async () => {
    const json = { kty: "RSA", key_size: 3072, key_ops: ["wrapKey"], attributes: { exp: 2_000_000_000, enabled: false }, tags: { a: "b" } };
    const first = await ask(emulator, "POST", "/keys/twice/create", { json: { kty: "RSA" } });
    const second = await ask(emulator, "POST", "/keys/twice/create", { json });
    expect(second.body).toMatchObject({
      key: { key_ops: ["wrapKey"] },
      attributes: { exp: 2_000_000_000, enabled: false },
      tags: { a: "b" },
    });
    const { body } = await ask(emulator, "GET", "/keys/twice/versions");
    expect(kidsOf(body)).toEqual([kidOf(first.body), kidOf(second.body)]);
  });

  test("is updated in what is given alone", async () => {
    await emulator.createKey("changed", { type: "oct-HSM", tags: { a: "b" } });
    const { body } = await ask(emulator, "PATCH", "/keys/changed", {
      json: { attributes: { enabled: false, nbf: 7 }, key_ops: ["wrapKey"] },
    });
    expect(body).toMatchObject({ key: { key_ops: ["wrapKey"] }, attributes: { enabled: false, nbf: 7 }, tags: { a: "b" } });
    const again = await ask(emulator, "PATCH", "/keys/changed/", { json: { tags: { c: "d" } } });
    expect(again.body).toMatchObject({ key: { key_ops: ["wrapKey"] }, attributes: { enabled: false, nbf: 7 }, tags: { c: "d" } });
  });

  test("that is rotated has a new version like the old one, good for as long as the policy says", async () => {
    const first = await emulator.createKey("rotated", { type: "oct-HSM", bits: 128, operations: ["wrapKey"], tags: { a: "b" } });
    const policy = {
      lifetimeActions: [{ trigger: { timeAfterCreate: "P90D" }, action: { type: "Rotate" } }],
      attributes: { expiryTime: "P2Y" },
    };
    const { body } = await ask(emulator, "PUT", "/keys/rotated/rotationpolicy", { json: policy });
    expect(body).toMatchObject({ id: `${emulator.keyUrl("rotated")}/rotationpolicy`, ...policy });
    expect((await ask(emulator, "GET", "/keys/rotated/rotationpolicy")).body).toEqual(body);
    const { body: second } = await ask(emulator, "POST", "/keys/rotated/rotate");
    expect(second).toMatchObject({ key: { kty: "oct-HSM", key_ops: ["wrapKey"] }, tags: { a: "b" } });
    expect(kidOf(second)).not.toContain(first);
    const { created, exp } = Object(second.attributes);
    expect(exp - created).toBe(2 * 365 * 86_400);
  });

  test("of a Managed HSM is not rotated on demand without a policy", async () => {
    await hsm.createKey("orders", { type: "oct-HSM" });
    expect((await ask(hsm, "POST", "/keys/orders/rotate")).gist).toBe("400 BadParameter");
    await ask(hsm, "PUT", "/keys/orders/rotationpolicy", { json: { lifetimeActions: [], attributes: {} } });
    expect((await ask(hsm, "POST", "/keys/orders/rotate")).status).toBe(200);
  });
});

describe("lists", () => {
  test("come in pages, with a link to the next that keeps the API version", async () => {
    await using own = await AzureEmulator.start();
    const made = [];
    for (let count = 0; count < 5; count++) made.push(own.keyUrl(`key-${count}`), await own.createKey(`key-${count}`, { type: "oct-HSM" }));
    const listed = await pages(own, "/keys?maxresults=2");
    expect(listed).toEqual(made.filter((_, place) => place % 2 === 0));
    for (const count of [0, 26]) expect((await ask(own, "GET", `/keys?maxresults=${count}`)).gist).toBe("400 BadParameter");
  });

  test("of versions name each with its attributes", async () => {
    const { body } = await ask(emulator, "GET", "/keys/orders/versions");
    expect(body).toEqual({
      value: [{ kid: emulator.keyUrl("orders", version), attributes: ATTRIBUTES, tags: { purpose: "test" } }],
      nextLink: null,
    });
  });
});

describe("a deleted key", () => {
  test("is there to be recovered or purged, and holds its name until then", async () => {
    await emulator.createKey("gone", { type: "oct-HSM" });
    const deleted = await ask(emulator, "DELETE", "/keys/gone");
    expect(deleted.body).toMatchObject({
      recoveryId: `${emulator.url}/deletedkeys/gone`,
      deletedDate: expect.any(Number),
      key: { kty: "oct-HSM" },
      attributes: ATTRIBUTES,
    });
    const { deletedDate, scheduledPurgeDate } = Object(deleted.body);
    expect(scheduledPurgeDate - deletedDate).toBe(90 * 86_400);
    expect((await ask(emulator, "GET", "/deletedkeys/gone")).body).toEqual(deleted.body);
    expect((await ask(emulator, "GET", "/deletedkeys")).body).toMatchObject({
      value: [{ recoveryId: `${emulator.url}/deletedkeys/gone`, kid: emulator.keyUrl("gone") }],
    });
    expect((await ask(emulator, "GET", "/keys/gone")).gist).toBe("404 KeyNotFound");
    const again = { json: { kty: "RSA" } };
    expect((await ask(emulator, "POST", "/keys/gone/create", again)).gist).toBe("409 Conflict ObjectIsDeletedButRecoverable");
    const recovered = await ask(emulator, "POST", "/deletedkeys/gone/recover");
    expect(kidOf(recovered.body)).toBe(kidOf(deleted.body));
    expect((await ask(emulator, "GET", "/keys/gone")).status).toBe(200);
    await ask(emulator, "DELETE", "/keys/gone");
    expect((await ask(emulator, "DELETE", "/deletedkeys/gone")).status).toBe(204);
    expect((await ask(emulator, "POST", "/deletedkeys/gone/recover")).gist).toBe("404 KeyNotFound");
    expect((await ask(emulator, "POST", "/keys/gone/create", again)).status).toBe(200);
  });

  test("is not purged where purge protection is on, and its level of recovery says so", async () => {
    await using own = await AzureEmulator.start({ isPurgeProtected: true, retentionDays: 7 });
    await own.createKey("orders", { type: "oct-HSM" });
    const { body } = await ask(own, "DELETE", "/keys/orders");
    expect(body.attributes).toMatchObject({ recoveryLevel: "CustomizedRecoverable", recoverableDays: 7 });
    expect((await ask(own, "DELETE", "/deletedkeys/orders")).status).toBe(403);
    expect((await ask(own, "POST", "/deletedkeys/orders/recover")).status).toBe(200);
  });
});

describe("a deletion and a recovery that take their time", () => {
  test.each([
    ["keys", "deletedkeys", "KeyNotFound"],
    ["secrets", "deletedsecrets", "SecretNotFound"],
    ["certificates", "deletedcertificates", "CertificateNotFound"],
  ])("of %s: meanwhile every other request about the object is a conflict, and no reader finds it", async (kind, deleted, notFound) => {
    const clock = fakeClock();
    await using own = await AzureEmulator.start({ clock, transitionMs: 1000 });
    if (kind === "keys") await own.createKey("orders", { type: "oct-HSM" });
    else if (kind === "secrets") own.setSecret("orders", "value");
    else await own.createCertificate("orders", { type: "EC" });
    const gist = async (method: string, path: string, json?: object): Promise<string> =>
      (await ask(own, method, path, json && { json })).gist;
    const create = (): Promise<string> => {
      if (kind === "keys") return gist("POST", "/keys/orders/create", { kty: "oct-HSM" });
      return kind === "secrets"
        ? gist("PUT", "/secrets/orders", { value: "x" })
        : gist("POST", "/certificates/orders/create", certificate({ key_props: { kty: "EC" } }));
    };
    expect(await gist("DELETE", `/${kind}/orders`)).toBe("200");
    for (const path of [`/${kind}/orders`, `/${deleted}/orders`]) expect(await gist("GET", path)).toBe(`404 ${notFound}`);
    expect(await create()).toBe("409 Conflict ObjectIsBeingDeleted");
    clock.advanceNow(1000);
    expect(await gist("GET", `/${deleted}/orders`)).toBe("200");
    expect(await create()).toBe("409 Conflict ObjectIsDeletedButRecoverable");
    expect(await gist("POST", `/${deleted}/orders/recover`)).toBe("200");
    for (const path of [`/${kind}/orders`, `/${deleted}/orders`]) expect(await gist("GET", path)).toBe(`404 ${notFound}`);
    expect(await create()).toBe("409 Conflict ObjectIsBeingRecovered");
    clock.advanceNow(1000);
    expect(await gist("GET", `/${kind}/orders`)).toBe("200");
    expect(await gist("DELETE", `/${kind}/orders`)).toBe("200");
    clock.advanceNow(90 * 86_400_000);
    expect(await gist("GET", `/${deleted}/orders`), "its time is up").toBe(`404 ${notFound}`);
    expect(await create()).toMatch(/^20[02]$/);
  });
});

describe("a backup", () => {
  test("brings every version back under its id, in the same geography alone", async () => {
    await using near = await AzureEmulator.start();
    await using far = await AzureEmulator.start({ geography: "asia" });
    for (const spec of [{ type: "RSA" }, { type: "EC", curve: "P-256K" }, { type: "oct-HSM", bits: 192 }] as const) {
      await emulator.createKey("kept", spec);
      const ids = [await emulator.rotate("kept"), emulator.newestVersion("kept")];
      const { body } = await ask(emulator, "POST", "/keys/kept/backup");
      expect(body).toEqual({ value: expect.stringMatching(/^[\w-]+$/) });
      expect((await ask(far, "POST", "/keys/restore", { json: body })).gist).toBe("400 BadParameter");
      expect((await ask(emulator, "POST", "/keys/restore", { json: body })).gist).toBe("409 Conflict");
      const { body: restored } = await ask(near, "POST", "/keys/restore", { json: body });
      expect(kidOf(restored)).toBe(near.keyUrl("kept", ids.at(-1)));
      const { key } = Object((await ask(emulator, "GET", "/keys/kept")).body);
      expect(restored.key).toEqual({ ...key, kid: near.keyUrl("kept", ids.at(-1)) });
      near.softDelete("kept");
      await ask(near, "DELETE", "/deletedkeys/kept");
    }
  });
});

describe("secrets", () => {
  test("are read by version or the newest, and a disabled one is not", async () => {
    const json = { value: "first", contentType: "text/plain", tags: { a: "b" }, attributes: { exp: 2_000_000_000 } };
    const { body: first } = await ask(emulator, "PUT", "/secrets/kek", { json });
    expect(first).toEqual({
      value: "first",
      id: expect.stringMatching(/\/secrets\/kek\/[0-9a-f]{32}$/),
      contentType: "text/plain",
      attributes: { ...secretAttributes(), exp: 2_000_000_000 },
      tags: { a: "b" },
    });
    const second = emulator.setSecret("kek", "second");
    expect((await ask(emulator, "GET", "/secrets/kek")).body).toEqual({
      value: "second",
      id: emulator.secretUrl("kek", second),
      attributes: secretAttributes(),
    });
    expect((await ask(emulator, "GET", new URL(`${first.id}`).pathname)).body).toEqual(first);
    expect((await ask(emulator, "GET", "/secrets/kek/versions")).body).toMatchObject({
      value: [{ id: first.id, contentType: "text/plain" }, { id: emulator.secretUrl("kek", second) }],
    });
    emulator.changeSecret("kek", second, { enabled: false });
    expect((await ask(emulator, "GET", "/secrets/kek")).gist).toBe("403 Forbidden SecretDisabled");
    emulator.deleteSecret("kek");
    expect((await ask(emulator, "GET", "/secrets/kek")).gist).toBe("404 SecretNotFound");
  });

  test("that are deleted can be recovered or purged, and hold their name until then", async () => {
    const version = emulator.setSecret("gone", "value", { tags: { a: "b" } });
    const { body: deleted } = await ask(emulator, "DELETE", "/secrets/gone");
    expect(deleted).toEqual({
      recoveryId: `${emulator.url}/deletedsecrets/gone`,
      deletedDate: expect.any(Number),
      scheduledPurgeDate: expect.any(Number),
      id: emulator.secretUrl("gone", version),
      attributes: secretAttributes(),
      tags: { a: "b" },
    });
    expect((await ask(emulator, "GET", "/deletedsecrets/gone")).body).toEqual(deleted);
    expect((await ask(emulator, "GET", "/deletedsecrets?maxresults=25")).body).toMatchObject({ value: expect.arrayContaining([deleted]) });
    for (const path of ["/secrets/gone", `/secrets/gone/${version}`, "/secrets/gone/versions"])
      expect((await ask(emulator, "GET", path)).gist).toBe("404 SecretNotFound");
    const again = { json: { value: "other" } };
    expect((await ask(emulator, "PUT", "/secrets/gone", again)).gist).toBe("409 Conflict ObjectIsDeletedButRecoverable");
    expect((await ask(emulator, "POST", "/deletedsecrets/gone/recover")).body).toMatchObject({ id: emulator.secretUrl("gone", version) });
    expect((await ask(emulator, "GET", "/secrets/gone")).body.value).toBe("value");
    expect((await ask(emulator, "DELETE", "/secrets/nobody")).gist).toBe("404 SecretNotFound");
    await ask(emulator, "DELETE", "/secrets/gone");
    expect((await ask(emulator, "DELETE", "/deletedsecrets/gone")).status).toBe(204);
    for (const [method, path] of [
      ["POST", "/deletedsecrets/gone/recover"],
      ["GET", "/deletedsecrets/gone"],
      ["DELETE", "/deletedsecrets/gone"],
    ] as const)
      expect((await ask(emulator, method, path)).gist).toBe("404 SecretNotFound");
    expect((await ask(emulator, "PUT", "/secrets/gone", again)).status).toBe(200);
    await ask(emulator, "DELETE", "/secrets/gone");
    emulator.recoverSecret("gone");
    expect(kidsOf((await ask(emulator, "GET", "/secrets?maxresults=25")).body).length).toBeGreaterThan(0);
  });

  test("are changed in what is given alone", async () => {
    const version = emulator.setSecret("changed", "value", { tags: { a: "b" } });
    const { body } = await ask(emulator, "PATCH", `/secrets/changed/${version}`, { json: { attributes: { enabled: false } } });
    expect(body).toMatchObject({ attributes: { enabled: false }, tags: { a: "b" } });
    expect((await ask(emulator, "GET", "/secrets/changed")).gist).toBe("403 Forbidden SecretDisabled");
  });

  test("are in no Managed HSM, and random bytes nowhere else", async () => {
    for (const path of ["/secrets/kek", "/certificates/orders"]) expect((await ask(hsm, "GET", path)).gist).toBe("404 NotFound");
    expect((await ask(emulator, "POST", "/rng", { json: { count: 1 } })).gist).toBe("404 NotFound");
    const { body } = await ask(hsm, "POST", "/rng", { json: { count: 128 } });
    expect(Buffer.from(`${body.value}`, "base64url")).toHaveLength(128);
    for (const count of [0, 129, 1.5, "7", undefined]) {
      expect((await ask(hsm, "POST", "/rng", { json: { count } })).gist).toBe("400 BadParameter");
    }
  });
});

describe("what is refused", () => {
  test.each([
    ["GET", "/keys/nobody", undefined, "404 KeyNotFound"],
    ["GET", `/keys/orders/${"0".repeat(32)}`, undefined, "404 KeyNotFound"],
    ["GET", "/certificates/orders", undefined, "404 CertificateNotFound"],
    ["POST", "/certificates/x/create", { policy: {} }, "400 BadParameter"],
    ["POST", "/certificates/x/create", certificate({ issuer: { name: "Unknown" } }), "400 BadParameter"],
    ["POST", "/certificates/x/create", certificate({ key_props: { kty: "oct-HSM" } }), "400 BadParameter"],
    ["POST", "/certificates/x/create", certificate({ key_props: { kty: "RSA-HSM", exportable: true } }), "400 BadParameter"],
    ["POST", "/certificates/x/create", certificate({ x509_props: { subject: "orders" } }), "400 BadParameter"],
    ["POST", "/certificates/x/create", certificate({ x509_props: { subject: "CN=x", key_usage: ["dance"] } }), "400 BadParameter"],
    ["POST", "/certificates/x/create", certificate({ x509_props: { subject: "CN=x", validity_months: 0 } }), "400 BadParameter"],
    ["GET", "/storage", undefined, "404 NotFound"],
    ["POST", `/keys/orders/${version}/polish`, {}, "405 MethodNotAllowed"],
    ["DELETE", "/keys/orders/versions", undefined, "405 MethodNotAllowed"],
    ["POST", "/keys/x/create", { kty: "RSA", key_size: 1024 }, "400 BadParameter"],
    ["POST", "/keys/x/create", { kty: "DSA" }, "400 BadParameter"],
    ["POST", "/keys/x/create", { kty: "oct" }, "400 BadParameter"],
    ["POST", "/keys/x/create", { kty: "EC", crv: "P-224" }, "400 BadParameter"],
    ["POST", "/keys/x/create", { kty: "RSA", key_ops: ["dance"] }, "400 BadParameter"],
    ["POST", "/keys/x/create", { kty: 7 }, "400 BadParameter"],
    ["POST", `/keys/orders/${version}/wrapkey`, undefined, "400 BadParameter"],
    ["POST", `/keys/orders/${version}/wrapkey`, { alg: "RSA-OAEP-256" }, "400 BadParameter"],
    ["POST", `/keys/orders/${version}/wrapkey`, { alg: "A256KW", value: "AAAA" }, "400 BadParameter"],
    ["POST", `/keys/orders/${version}/unwrapkey`, { alg: "RSA-OAEP-256", value: "AAAA" }, "400 BadParameter"],
  ])("%s %s %j: %s", async (method, path, json, gist) => {
    expect((await ask(emulator, method, path, json && { json })).gist).toBe(gist);
  });

  test("an API version that is missing, or that it does not know", async () => {
    for (const apiVersion of ["", "6.0", "2030-01-01"])
      expect((await ask(emulator, "GET", "/keys", { apiVersion })).gist).toBe("400 BadParameter");
    for (const apiVersion of ["7.4", "2025-07-01"]) expect((await ask(emulator, "GET", "/keys", { apiVersion })).status).toBe(200);
    await using old = await AzureEmulator.start({ apiVersions: ["7.2"] });
    expect((await ask(old, "GET", "/keys")).status).toBe(400);
    expect((await ask(old, "GET", "/keys", { apiVersion: "7.2" })).status).toBe(200);
  });

  test.each([
    ["standard", ["RSA", "EC"]],
    ["premium", ["RSA", "RSA-HSM", "EC", "EC-HSM", "oct-HSM"]],
    ["managed-hsm", ["RSA-HSM", "EC-HSM", "oct-HSM"]],
  ] as const)("types of key that a %s vault does not keep", async (flavour, kept) => {
    await using own = await AzureEmulator.start({ flavour });
    for (const kty of ["RSA", "RSA-HSM", "EC", "EC-HSM", "oct", "oct-HSM"] as const) {
      const { status } = await ask(own, "POST", `/keys/${kty}/create`, { json: { kty } });
      expect([kty, status]).toEqual([kty, kept.some((type) => type === kty) ? 200 : 400]);
    }
  });
});

test("what the public half wrapped elsewhere is unwrapped", async () => {
  const { key } = Object((await ask(emulator, "GET", `/keys/orders/${version}`)).body);
  const publicKey = createPublicKey({ key: { kty: "RSA", n: key.n, e: key.e }, format: "jwk" });
  const dek = randomBytes(32);
  const wrapped = publicEncrypt({ key: publicKey, oaepHash: "sha256", padding: constants.RSA_PKCS1_OAEP_PADDING }, dek);
  const json = { alg: "RSA-OAEP-256", value: wrapped.toString("base64url") };
  const { body } = await ask(emulator, "POST", `/keys/orders/${version}/unwrapkey`, { json });
  expect(body).toEqual({ kid: emulator.keyUrl("orders", version), value: dek.toString("base64url") });
});

function certificate(more: object): object {
  return { policy: { issuer: { name: "Self" }, x509_props: { subject: "CN=x" }, ...more } };
}

function secretAttributes(): object {
  return {
    enabled: true,
    created: expect.any(Number),
    updated: expect.any(Number),
    recoveryLevel: "Recoverable+Purgeable",
    recoverableDays: 90,
  };
}

function kidOf(body: AnswerFields): string {
  return `${Object(body.key).kid}`;
}

function kidsOf({ value }: AnswerFields): readonly string[] {
  return Array.isArray(value) ? value.map(({ kid }) => kid) : [];
}

async function pages(from: AzureEmulator, path: string): Promise<readonly string[]> {
  const { body } = await ask(from, "GET", path);
  const { nextLink } = body;
  return [...kidsOf(body), ...(typeof nextLink === "string" ? await pages(from, nextLink.slice(from.url.length)) : [])];
}
