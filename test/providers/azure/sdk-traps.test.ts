import { randomBytes } from "node:crypto";
import { CryptographyClient } from "@azure/keyvault-keys";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { type AzureKey, type AzureKeyOptions, azureKey } from "../../../providers/azure/index.ts";
import { transportGuard } from "../../../providers/azure/sdk/transport-guard.ts";
import { showsSecret } from "../../../providers/conformance/shown-secrets.ts";
import { Answer, AzureEmulator, forbidden, type LoggedRequest } from "../../../src/testing/azure-emulator/index.ts";
import { fakeClock } from "../../support/fake-clock.ts";
import { refusal } from "../../support/refusal.ts";
import { settle, unwrapOne, versionOf, wrapOne } from "./calls.ts";

// What the SDK does when it is used as its documentation shows, and that none of it happens here.

const emulator = await AzureEmulator.start();
afterAll(() => emulator[Symbol.asyncDispose]());

let version = "";
beforeEach(async () => {
  emulator.allow("read");
  version = await emulator.createKey("orders", { type: "RSA", bits: 2048 });
  emulator.takeRequests();
});

describe("after a rotation the version that wrapped is named", () => {
  test("naive: wraps with the new version, names the old, and cannot unwrap", async () => {
    const client = naiveClient(emulator.keyUrl("orders"));
    await client.wrapKey("RSA-OAEP-256", randomBytes(32));
    await emulator.rotate("orders");
    const { keyID, result } = await client.wrapKey("RSA-OAEP-256", randomBytes(32));
    expect(keyID).toBe(emulator.keyUrl("orders", version));
    await expect(naiveClient(keyID ?? "").unwrapKey("RSA-OAEP-256", result)).rejects.toMatchObject({ statusCode: 400 });
  });

  test("ours", async () => {
    const provider = open();
    await wrapOne(provider);
    await emulator.rotate("orders");
    const dek = randomBytes(32);
    const recipient = await wrapOne(provider, dek);
    expect(Buffer.from(await unwrapOne(provider, recipient))).toEqual(dek);
  });
});

describe("unwrapping needs no right to read keys", () => {
  test("naive: asks for the key, and names no version where it may not read it", async () => {
    emulator.deny("read");
    const { keyID } = await naiveClient(emulator.keyUrl("orders")).wrapKey("RSA-OAEP-256", randomBytes(32));
    expect(keyID).toBe(emulator.keyUrl("orders"));
    expect(pathsOf(emulator.takeRequests())).toContain("GET /keys/orders/");
  });

  test("ours", async () => {
    const recipient = await wrapOne(open());
    emulator.deny("read");
    emulator.takeRequests();
    await unwrapOne(open(), recipient);
    expect(pathsOf(emulator.takeRequests()).filter((path) => !path.endsWith("/unwrapkey"))).toEqual([]);
  });
});

describe("an expired version unwraps", () => {
  test("naive: refuses without asking", async () => {
    const recipient = await wrapOne(open());
    emulator.change("orders", version, { exp: 1_700_000_000 });
    const client = naiveClient(recipient.keyId);
    await expect(client.unwrapKey("RSA-OAEP-256", recipient.wrapped)).rejects.toThrow("expired");
  });

  test("ours", async () => {
    const dek = randomBytes(32);
    const recipient = await wrapOne(open(), dek);
    emulator.change("orders", version, { exp: 1_700_000_000 });
    expect(Buffer.from(await unwrapOne(open(), recipient))).toEqual(dek);
  });
});

describe("a 429 is the caller's to wait for, with or without Retry-After", () => {
  const throttled = (headers = {}) => new Answer(429, { code: "Throttled" }, headers);

  test("naive: gives up without the header, and tries again unasked with it", async () => {
    const client = naiveClient(emulator.keyUrl("orders", version));
    await client.wrapKey("RSA-OAEP-256", randomBytes(32));
    emulator.takeRequests();
    emulator.failNext(throttled());
    await expect(client.wrapKey("RSA-OAEP-256", randomBytes(32))).rejects.toMatchObject({ statusCode: 429 });
    expect(emulator.takeRequests()).toHaveLength(1);
    emulator.failNext(throttled({ "retry-after": "0" }));
    await client.wrapKey("RSA-OAEP-256", randomBytes(32));
    expect(emulator.takeRequests()).toHaveLength(2);
  });

  test("ours", async () => {
    const provider = open();
    await wrapOne(provider);
    emulator.takeRequests();
    emulator.failNext(throttled());
    expect(await refusal(() => wrapOne(provider))).toMatchObject({ code: "rate-limited", retryable: true });
    emulator.failNext(throttled({ "retry-after": "7" }));
    expect(await refusal(() => wrapOne(provider))).toMatchObject({ code: "rate-limited", retryAfterMs: 7000 });
    expect(emulator.takeRequests()).toHaveLength(2);
  });
});

// This one and the next are mended in @azure/keyvault-common 2.1.1, which needs Node 22; with Node 20 npm installs 2.1.0.
describe("the first calls of a client, at once", () => {
  test("naive: one sends its data key without a token, the other sends nothing and fails", async () => {
    const client = naiveClient(emulator.keyUrl("orders", version), "without reading the key");
    const dek = randomBytes(32);
    const held = emulator.holdNext();
    const first = client.wrapKey("RSA-OAEP-256", randomBytes(32));
    await held.arrived;
    await client.wrapKey("RSA-OAEP-256", dek);
    held.release();
    await expect(first).rejects.toMatchObject({ statusCode: 400 });
    expect(bodiesWithoutToken(emulator.takeRequests())).toEqual([expect.stringContaining(dek.toString("base64url"))]);
  });

  test("the last policy before the wire stops it by itself", async () => {
    const guard = transportGuard({ vaultUrl: emulator.url, challenge: { headers: undefined }, onAuthorised: () => {} });
    const options = { additionalPolicies: [{ policy: guard, position: "perRetry" }] };
    const client = naiveClient(emulator.keyUrl("orders", version), "without reading the key", options);
    const held = emulator.holdNext();
    const first = client.wrapKey("RSA-OAEP-256", randomBytes(32));
    await held.arrived;
    await expect(client.wrapKey("RSA-OAEP-256", randomBytes(32))).rejects.toMatchObject({ code: "provider-failure" });
    held.release();
    await first;
    expect(bodiesWithoutToken(emulator.takeRequests())).toEqual([]);
  });

  test("ours", async () => {
    const provider = open();
    const recipient = await wrapOne(provider);
    const reader = open();
    emulator.takeRequests();
    const held = emulator.holdNext();
    const all = [unwrapOne(reader, recipient), unwrapOne(reader, recipient), unwrapOne(reader, recipient)];
    await held.arrived;
    expect(emulator.requests).toHaveLength(1);
    held.release();
    await Promise.all(all);
    const requests = emulator.takeRequests();
    expect(requests).toHaveLength(4);
    expect(bodiesWithoutToken(requests)).toEqual([]);
  });
});

describe("a client whose first request failed", () => {
  test("naive: goes on to send data keys without a token", async () => {
    const client = naiveClient(emulator.keyUrl("orders", version), "without reading the key", { retryOptions: { maxRetries: 0 } });
    emulator.failNext("reset");
    await expect(client.wrapKey("RSA-OAEP-256", randomBytes(32))).rejects.toThrow();
    const dek = randomBytes(32);
    await client.wrapKey("RSA-OAEP-256", dek);
    expect(bodiesWithoutToken(emulator.takeRequests())).toEqual([expect.stringContaining(dek.toString("base64url"))]);
  });

  test("ours", async () => {
    const recipient = await wrapOne(open());
    for (const fault of ["reset", new Answer(503, { code: "Busy" }), forbidden("ForbiddenByFirewall")] as const) {
      const provider = open();
      emulator.failNext(fault);
      await refusal(() => unwrapOne(provider, recipient));
      await unwrapOne(provider, recipient);
      emulator.failNext(fault);
      const writer = open();
      await refusal(() => wrapOne(writer));
      await wrapOne(writer);
    }
    expect(bodiesWithoutToken(emulator.takeRequests())).toEqual([]);
  });
});

describe("a disabled key does not wrap", () => {
  test("naive: the service and the SDK both let it", async () => {
    emulator.change("orders", version, { enabled: false });
    await naiveClient(emulator.keyUrl("orders")).wrapKey("RSA-OAEP-256", randomBytes(32));
    await naiveClient(emulator.keyUrl("orders")).wrapKey("RSA-OAEP", randomBytes(32));
  });

  test.each(["local", "remote"] as const)("ours, %s", async (wrap) => {
    emulator.change("orders", version, { enabled: false });
    expect(await refusal(() => wrapOne(open({ wrap })))).toMatchObject({ code: "key-disabled", detail: "disabled" });
  });
});

describe("a vault that never answers", () => {
  test("naive: waits for ever", async () => {
    emulator.failNext("hang");
    let isSettled = false;
    const stop = new AbortController();
    const client = naiveClient(emulator.keyUrl("orders"));
    const call = client.wrapKey("RSA-OAEP-256", randomBytes(32), { abortSignal: stop.signal }).finally(() => {
      isSettled = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(isSettled).toBe(false);
    stop.abort();
    await expect(call).rejects.toMatchObject({ name: "AbortError" });
  });

  test.each(["hang", "cut"] as const)("ours: %s", async (fault) => {
    const clock = fakeClock();
    const provider = open({ clock, timeoutMs: 4000 });
    const recipient = await wrapOne(provider);
    emulator.takeRequests();
    emulator.failNext(fault);
    const failure = refusal(() => unwrapOne(provider, recipient));
    await settle(() => emulator.requests.length === 1);
    if (fault === "hang") {
      clock.advanceNow(3999);
      expect(clock.timers).toBe(1);
      clock.advanceNow(1);
    }
    expect(await failure).toMatchObject({ code: fault === "hang" ? "timeout" : "provider-failure", retryable: true });
    expect(clock.timers).toBe(0);
    const [asked] = emulator.requests;
    await settle(() => asked?.isAbandoned === (fault === "hang"));
    expect(asked?.isAbandoned, "what nobody waits for is hung up").toBe(fault === "hang");
    await unwrapOne(provider, recipient);
  });
});

describe("errors hold no data key", () => {
  const faults = [new Answer(429, { code: "Throttled" }), new Answer(400, { code: "BadParameter" }), "reset", "garbage", "cut"] as const;

  test("naive: the request is in the error, and an answer that broke off in its message", async () => {
    const client = naiveClient(emulator.keyUrl("orders", version));
    const dek = randomBytes(32);
    const { result } = await client.wrapKey("RSA-OAEP-256", dek);
    emulator.failNext(new Answer(400, { code: "BadParameter" }));
    expect(showsSecret(await errorOf(client.wrapKey("RSA-OAEP-256", dek)), [dek])).toBe(true);
    emulator.failNext("cut");
    expect((await errorOf(client.unwrapKey("RSA-OAEP-256", result))).message).toContain(dek.toString("base64url").slice(0, -4));
  });

  test.each(faults)("ours: %s", async (fault) => {
    const provider = open();
    const dek = randomBytes(32);
    const recipient = await wrapOne(provider, dek);
    emulator.failNext(fault);
    const errors = [await refusal(() => unwrapOne(provider, recipient))];
    emulator.failNext(fault);
    errors.push(await refusal(() => wrapOne(provider, dek)));
    expect(showsSecret(errors, [dek, dek.subarray(0, 24), Buffer.from(emulator.token)])).toBe(false);
  });
});

describe("an answer without a body", () => {
  const empty = { status: 503, text: "" };

  test("naive: its status is lost", async () => {
    const client = naiveClient(emulator.keyUrl("orders", version), "without reading the key", { retryOptions: { maxRetries: 0 } });
    await client.wrapKey("RSA-OAEP-256", randomBytes(32));
    emulator.failNext(empty);
    await expect(client.wrapKey("RSA-OAEP-256", randomBytes(32))).rejects.toBeInstanceOf(TypeError);
  });

  test("ours", async () => {
    const provider = open();
    await wrapOne(provider);
    emulator.failNext(empty);
    expect(await refusal(() => wrapOne(provider))).toMatchObject({ code: "unavailable", retryable: true });
  });
});

describe("a redirect", () => {
  const redirect = { status: 307, text: "", headers: { location: "/elsewhere" } };

  test("naive: takes the data key there without a token", async () => {
    const client = naiveClient(emulator.keyUrl("orders", version));
    await client.wrapKey("RSA-OAEP-256", randomBytes(32));
    emulator.takeRequests();
    emulator.failNext(redirect);
    const dek = randomBytes(32);
    await client.wrapKey("RSA-OAEP-256", dek).catch(() => undefined);
    const [there] = emulator.takeRequests().filter(({ path }) => path === "POST /elsewhere");
    expect(there).toMatchObject({ hasToken: false, body: expect.stringContaining(dek.toString("base64url")) });
  });

  test("ours", async () => {
    const provider = open();
    await wrapOne(provider);
    emulator.takeRequests();
    emulator.failNext(redirect);
    expect(await refusal(() => wrapOne(provider))).toMatchObject({ code: "provider-failure", retryable: false });
    expect(emulator.takeRequests()).toHaveLength(1);
  });
});

describe("many first calls at once read the key once", () => {
  test("naive: each asks twice", async () => {
    const client = naiveClient(emulator.keyUrl("orders"));
    await Promise.allSettled(Array.from({ length: 20 }, () => client.wrapKey("RSA-OAEP-256", randomBytes(32))));
    expect(emulator.takeRequests().filter(({ method }) => method === "GET").length).toBeGreaterThan(20);
  });

  test("ours", async () => {
    const provider = open({ minVersionAgeMs: 600_000 });
    const recipients = await Promise.all(Array.from({ length: 50 }, () => wrapOne(provider)));
    const requests = emulator.takeRequests();
    expect(requests.filter(({ method, hasToken }) => method === "GET" && hasToken)).toHaveLength(1);
    expect(requests).toHaveLength(1 + 1 + 50); // the challenge, the key, the wraps
    expect(new Set(recipients.map(versionOf))).toEqual(new Set([version]));
  });
});

function open(options: Partial<AzureKeyOptions> = {}): AzureKey {
  return azureKey({ ...emulator.connection, keyUrl: emulator.keyUrl("orders"), minVersionAgeMs: 0, versionCacheMs: 0, ...options });
}

/** The way that the SDK's documentation shows; a key that is made by hand saves the read. */
function naiveClient(keyId: string, reading = "reading the key", options: object = {}): CryptographyClient {
  const { ca } = emulator;
  const key = reading === "reading the key" ? keyId : { id: keyId, name: "orders", properties: { name: "orders", vaultUrl: emulator.url } };
  return new CryptographyClient(key, emulator, { tlsOptions: { ca }, disableChallengeResourceVerification: true, ...options });
}

function bodiesWithoutToken(requests: readonly LoggedRequest[]): readonly string[] {
  return requests.filter(({ body, hasToken }) => body !== "" && !hasToken).map(({ body }) => body);
}

function pathsOf(requests: readonly LoggedRequest[]): readonly string[] {
  return requests.map(({ path }) => path);
}

async function errorOf(work: Promise<unknown>): Promise<Error> {
  const error = await work.then(
    () => undefined,
    (failure: unknown) => failure,
  );
  return error instanceof Error ? error : new Error("did not fail");
}
