import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { type AzureKey, type AzureKeyOptions, azureKey, managedHsmRandom } from "../../../providers/azure/index.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import { AzureEmulator } from "../../../src/testing/azure-emulator/index.ts";
import { fakeClock } from "../../support/fake-clock.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";
import { untyped } from "../../support/untyped.ts";
import { settle, unwrapOne, wrapOne } from "./calls.ts";

const emulator = await AzureEmulator.start();
afterAll(() => emulator[Symbol.asyncDispose]());
await emulator.createKey("orders", { type: "RSA", bits: 2048 });
beforeEach(() => {
  emulator.takeRequests();
  emulator.tokenRequests.length = 0;
});

describe("calls", () => {
  test("a cold wrap costs three requests and one token: the challenge, the key, the wrap", async () => {
    await wrapOne(open());
    expect(emulator.takeRequests().map(({ method, status }) => `${method} ${status}`)).toEqual(["GET 401", "GET 200", "POST 200"]);
    expect(emulator.tokenRequests).toEqual([
      { scopes: `${emulator.tokenResource}/.default`, options: expect.objectContaining({ tenantId: emulator.tenantId, enableCae: true }) },
    ]);
  });

  test("a cold unwrap costs two, a cold local wrap two", async () => {
    const recipient = await wrapOne(open());
    emulator.takeRequests();
    await unwrapOne(open(), recipient);
    expect(emulator.takeRequests()).toHaveLength(2);
    await wrapOne(open({ wrap: "local" }));
    expect(emulator.takeRequests()).toHaveLength(2);
  });

  test("then each wrap and each unwrap costs one, a local wrap none, with one token and few connections", async () => {
    const provider = open();
    const local = open({ wrap: "local" });
    const recipient = await wrapOne(provider);
    await wrapOne(local);
    await unwrapOne(provider, recipient);
    emulator.takeRequests();
    emulator.tokenRequests.length = 0;
    const connectionsBefore = emulator.connectionCount;
    for (let round = 0; round < 10; round++) {
      await wrapOne(local);
      await unwrapOne(provider, await wrapOne(provider));
    }
    expect(emulator.takeRequests().map(({ path }) => path.split("/").at(-1))).toEqual(
      Array.from({ length: 10 }, () => ["wrapkey", "unwrapkey"]).flat(),
    );
    expect(emulator.tokenRequests).toEqual([]);
    expect(emulator.connectionCount).toBe(connectionsBefore);
  });

  test("a further version costs no second challenge", async () => {
    const provider = open();
    const recipients = [await wrapOne(provider)];
    for (let round = 0; round < 3; round++) {
      await emulator.rotate("orders");
      recipients.push(await wrapOne(open()));
    }
    await unwrapOne(provider, await wrapOne(provider));
    emulator.takeRequests();
    for (const recipient of recipients) await unwrapOne(provider, recipient);
    expect(emulator.takeRequests().map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  });

  test("calls wait for the first until it has a token, not until it has an answer", async () => {
    const provider = open();
    const recipient = await wrapOne(open());
    const probe = emulator.holdNext();
    const first = unwrapOne(provider, recipient);
    await probe.arrived;
    const second = unwrapOne(provider, recipient);
    const unwrap = emulator.holdNext();
    probe.release();
    await unwrap.arrived;
    await second;
    unwrap.release();
    await first;
  });

  test("a list of versions that goes on at another host ends there", async () => {
    await wrapOne(open());
    await emulator.rotate("orders");
    emulator.takeRequests();
    const elsewhere = `${emulator.url.replace("127.0.0.1", "localhost")}/keys/orders/versions?api-version=7.6`;
    emulator.failNext({ status: 200, text: JSON.stringify({ value: [], nextLink: elsewhere }) }, /versions$/);
    expect(await refusal(() => wrapOne(open({ minVersionAgeMs: 600_000 })))).toMatchObject({ code: "provider-failure" });
    expect(emulator.takeRequests().filter(({ path }) => path.endsWith("/versions"))).toHaveLength(1);
  });

  test("a version that made room for clients of others unwraps as before", async () => {
    const provider = open();
    const recipient = await wrapOne(provider);
    for (let count = 0; count < 40; count++) {
      const keyId = `${emulator.keyUrl("orders")}/${count.toString(16).padStart(32, "0")}`;
      expect(await refusalCode(() => unwrapOne(provider, { ...recipient, keyId }))).toBe("key-not-found");
    }
    await unwrapOne(provider, recipient);
  });
});

describe("tokens", () => {
  test("go to nobody who asks for another resource", async () => {
    const provider = open({ tokenResource: "https://managedhsm.azure.net" });
    expect(await refusal(() => provider.current())).toMatchObject({ code: "access-denied", detail: "challenge" });
    expect(emulator.tokenRequests).toEqual([]);
    expect(emulator.takeRequests().filter(({ hasToken }) => hasToken)).toEqual([]);
  });

  test("are asked for again with the claims that the service demands", async () => {
    const provider = open();
    const recipient = await wrapOne(provider);
    await unwrapOne(provider, recipient);
    emulator.tokenRequests.length = 0;
    emulator.failNext("claims");
    await unwrapOne(provider, recipient);
    expect(emulator.tokenRequests).toEqual([
      expect.objectContaining({ options: expect.objectContaining({ claims: expect.stringContaining("nbf") }) }),
    ]);
  });

  test("that do not meet the claims are not used again where none better is given", async () => {
    const credential = {
      async getToken(_: unknown, { claims }: { claims?: string } = {}) {
        if (claims !== undefined) throw new Error("sign in again");
        return await emulator.getToken(emulator.tokenResource);
      },
    };
    const provider = open({ credential });
    const recipient = await wrapOne(provider);
    await unwrapOne(provider, recipient);
    emulator.takeRequests();
    emulator.failNext("claims");
    expect(await refusal(() => unwrapOne(provider, recipient))).toMatchObject({ code: "access-denied", detail: "credential" });
    expect(emulator.takeRequests()).toHaveLength(1);
  });

  test("are renewed ahead of their end, and an old one serves while no new one is to be had", async () => {
    const clock = fakeClock();
    const answers: (() => Promise<unknown>)[] = [];
    const tokenFor = (lifeMs: number) => async () => ({ token: emulator.token, expiresOnTimestamp: clock.unixMs() + lifeMs });
    const credential = {
      getToken: async () => await untyped<Promise<null>>(answers.shift()?.() ?? Promise.reject(new Error("asked too often"))),
    };
    const provider = open({ clock, credential, versionCacheMs: 0 });
    answers.push(tokenFor(600_000));
    await provider.current();
    clock.advanceNow(479_000);
    await provider.current();
    clock.advanceNow(2000); // less than two minutes are left
    await provider.current(); // and none is given
    answers.push(tokenFor(600_000));
    await provider.current();
    await provider.current();
    clock.advanceNow(600_000);
    expect(await refusal(() => provider.current())).toMatchObject({ code: "access-denied", detail: "credential" });
  });

  test("are fetched once for all, and a caller who gives up does not end that", async () => {
    let give = (): void => {};
    let isAborted = false;
    let asked = 0;
    const credential = {
      async getToken(_: unknown, { abortSignal }: { abortSignal?: AbortSignal } = {}) {
        asked++;
        abortSignal?.addEventListener("abort", () => {
          isAborted = true;
        });
        await new Promise<void>((resolve) => {
          give = resolve;
        });
        return await emulator.getToken(emulator.tokenResource);
      },
    };
    const provider = open({ credential });
    const recipient = await wrapOne(open());
    const stop = new AbortController();
    const reason = new Error("the caller's reason");
    const impatient = unwrapOne(provider, recipient, stop.signal).catch((error: unknown) => error);
    const patient = [unwrapOne(provider, recipient), unwrapOne(provider, recipient), wrapOne(provider)];
    await settle(() => asked > 0);
    stop.abort(reason);
    expect(await impatient).toBe(reason);
    give();
    await Promise.all(patient);
    expect([asked, isAborted]).toEqual([1, false]);
  });

  test("that never come end a call by its time, and are waited for no longer than a minute", async () => {
    const clock = fakeClock();
    let asked = 0;
    const credential = {
      getToken: () => {
        asked++;
        return asked < 3 ? new Promise<null>(() => {}) : emulator.getToken(emulator.tokenResource);
      },
    };
    const provider = open({ clock, credential, timeoutMs: 10_000 });
    const first = refusal(() => provider.current());
    await settle(() => asked === 1);
    clock.advanceNow(10_000);
    expect(await first).toMatchObject({ code: "timeout", retryable: true });
    const second = refusal(() => provider.current());
    await settle(() => clock.timers === 2); // of the call, and of the token that it waits for with the first
    clock.advanceNow(10_000);
    expect(await second).toMatchObject({ code: "timeout" });
    clock.advanceNow(40_000);
    asked = 2;
    await settle(() => clock.timers === 0);
    await provider.current();
    expect(asked).toBe(3);
  });
});

describe("the generator of a Managed HSM", () => {
  const randomOf = (hsm: AzureEmulator) => managedHsmRandom({ ...hsm.connection, hsmUrl: hsm.url });

  test("gives as many bytes as asked for, in calls of 128", async () => {
    await using hsm = await AzureEmulator.start({ flavour: "managed-hsm" });
    const random = randomOf(hsm);
    const bytes = await random.randomBytes(300);
    expect([bytes.length, bytes.buffer.byteLength, new Set(bytes).size > 100]).toEqual([300, 300, true]);
    const requests = hsm.takeRequests().filter(({ status }) => status === 200);
    expect(requests.map(({ body }) => JSON.parse(body))).toEqual([{ count: 128 }, { count: 128 }, { count: 44 }]);
  });

  test("makes data keys, of which each costs a call", async () => {
    await using hsm = await AzureEmulator.start({ flavour: "managed-hsm" });
    await hsm.createKey("orders", { type: "oct-HSM" });
    const key = azureKey({ ...hsm.connection, keyUrl: hsm.keyUrl("orders") });
    const keyring = new Keyring({ wrapWith: [key], randomness: randomOf(hsm) });
    await keyring.encrypt(new Uint8Array(1));
    hsm.takeRequests();
    const envelope = await keyring.encrypt(new Uint8Array([7]));
    expect(hsm.takeRequests().map(({ path }) => path.split("/").at(-1))).toEqual(["rng", "wrapkey"]);
    expect(await keyring.decrypt(envelope)).toEqual(new Uint8Array([7]));
  });

  test("fails in our codes", async () => {
    await using hsm = await AzureEmulator.start({ flavour: "managed-hsm" });
    const random = randomOf(hsm);
    for (const count of [0, 4097, 1.5, Number.NaN]) expect(await refusalCode(() => random.randomBytes(count))).toBe("invalid-argument");
    await random.randomBytes(1);
    hsm.failNext({ status: 200, text: '{"value":"AAAA"}' });
    expect(await refusalCode(() => random.randomBytes(32))).toBe("provider-failure");
    hsm.failNext("reset");
    expect(await refusalCode(() => random.randomBytes(32))).toBe("unavailable");
    await random.close();
    await random.close();
    expect(await refusalCode(() => random.randomBytes(1))).toBe("closed");
  });
});

function open(options: Partial<AzureKeyOptions> = {}): AzureKey {
  return azureKey({ ...emulator.connection, keyUrl: emulator.keyUrl("orders"), minVersionAgeMs: 0, ...options });
}
