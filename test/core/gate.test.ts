import { describe, expect, test } from "vitest";
import { EnvelockError } from "../../src/core/base/errors.ts";
import type { Gate, GateRequest } from "../../src/core/keyring/gate.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { partDigest } from "../../src/core/stream/part-digest.ts";
import type { KeyringEvent } from "../../src/core/telemetry/events.ts";
import { noise } from "../support/arbitraries.ts";
import { fakeClock } from "../support/fake-clock.ts";
import { kek, type WatchedProvider, watched } from "../support/keks.ts";
import { collect, collectStream, piecesOf, streamOf } from "../support/pieces.ts";
import { refusal } from "../support/refusal.ts";

interface Ready {
  readonly keyring: Keyring;
  readonly envelope: Uint8Array;
  readonly detached: { readonly header: Uint8Array; readonly body: Uint8Array };
  readonly keyRecord: Uint8Array;
}

/** Each method that uses, makes or unwraps a data key, or asks a provider. */
const CALLS: Readonly<Record<string, (ready: Ready) => Promise<unknown>>> = {
  encrypt: ({ keyring }) => keyring.encrypt(noise(9)),
  encryptDetached: ({ keyring }) => keyring.encryptDetached(noise(9)),
  encryptText: ({ keyring }) => keyring.encryptText("text"),
  encryptJson: ({ keyring }) => keyring.encryptJson({ a: 1 }),
  encryptStream: ({ keyring }) => collectStream(streamOf(noise(9)).pipeThrough(keyring.encryptStream())),
  encryptPieces: ({ keyring }) => collect(keyring.encryptPieces(piecesOf(noise(9)))),
  startUpload: ({ keyring }) => keyring.startUpload(UPLOAD),
  decrypt: ({ keyring, envelope }) => keyring.decrypt(envelope),
  decryptDetached: ({ keyring, detached }) => keyring.decryptDetached(detached),
  decryptText: ({ keyring, envelope }) => keyring.decryptText(envelope),
  decryptJson: ({ keyring, envelope }) => keyring.decryptJson(envelope),
  decryptStream: ({ keyring, envelope }) => collectStream(streamOf(envelope).pipeThrough(keyring.decryptStream())),
  decryptPieces: ({ keyring, envelope }) => collect(keyring.decryptPieces(piecesOf(envelope))),
  openSeekable: ({ keyring, envelope }) =>
    keyring.openSeekable({ size: envelope.length, read: async (start, end) => envelope.slice(start, end) }),
  rewrap: ({ keyring, envelope }) => keyring.rewrap(envelope),
  rewrapHeader: ({ keyring, detached }) => keyring.rewrapHeader(detached.header),
  needsRewrap: ({ keyring, envelope }) => keyring.needsRewrap(envelope),
  createDataKey: ({ keyring }) => keyring.createDataKey(),
  unwrapDataKey: ({ keyring, keyRecord }) => keyring.unwrapDataKey(keyRecord),
  rewrapKeyRecord: ({ keyring, keyRecord }) => keyring.rewrapKeyRecord(keyRecord),
  keyRecordNeedsRewrap: ({ keyring, keyRecord }) => keyring.keyRecordNeedsRewrap(keyRecord),
};

describe("a gate", () => {
  test.each(Object.entries(CALLS))("refuses %s before any provider call and from a warm cache, with its own error", async (_, call) => {
    const gate = closable();
    const ready = await warm(gate.decide);
    const calls = ready.provider.calls.length;
    gate.refusal = new EnvelockError("access-denied", "suspended", { whose: "tenant", tenant: "acme", detail: "tenant-suspended" });
    expect(await call(ready).catch((error: unknown) => error)).toBe(gate.refusal);
    expect(ready.provider.calls).toHaveLength(calls);
    gate.refusal = undefined;
    await call(ready);
  });

  test("knows every method that there is", () => {
    const ungated = ["constructor", "context", "forget", "status", "close", "resumeUpload"];
    const methods = Object.getOwnPropertyNames(Keyring.prototype).filter((name) => !ungated.includes(name));
    expect(methods.sort()).toEqual(Object.keys(CALLS).sort());
  });

  test("refuses an upload that is resumed", async () => {
    const gate = closable();
    const { keyring } = await warm(gate.decide);
    const options = { ...UPLOAD, partDigests: [await partDigest(noise(9))] };
    const state = await (await keyring.startUpload(options)).exportState();
    gate.refusal = new Error("of the caller");
    expect(await keyring.resumeUpload(state, options).catch((error: unknown) => error)).toBe(gate.refusal);
  });

  test("is told operation and key context, and may wait", async () => {
    const asked: GateRequest[] = [];
    const gate: Gate = async (request) => {
      asked.push(request);
    };
    const keyring = new Keyring({ wrapWith: [kek()], context: { tenant: "acme" }, gate });
    await keyring.decrypt(await keyring.encrypt(noise(1)));
    await keyring.createDataKey({ keyContext: { purpose: "columns" } });
    expect(JSON.parse(JSON.stringify(asked))).toEqual([
      { operation: "encrypt", keyContext: { tenant: "acme" }, isSync: false },
      { operation: "decrypt", keyContext: { tenant: "acme" }, isSync: false },
      { operation: "create-data-key", keyContext: { tenant: "acme", purpose: "columns" }, isSync: false },
    ]);
  });

  test("that rejects is as one that throws", async () => {
    const reason = { any: "value" };
    const keyring = new Keyring({ wrapWith: [kek()], gate: () => Promise.reject(reason) });
    expect(await keyring.encrypt(noise(1)).catch((error: unknown) => error)).toBe(reason);
  });

  test("that does not decide ends with the deadline, or with the caller's signal", async () => {
    const clock = fakeClock();
    const provider = watched(kek());
    const keyring = new Keyring({ wrapWith: [provider], clock, deadlineMs: 1000, gate: () => new Promise(() => undefined) });
    const late = refusal(() => keyring.encrypt(noise(1)));
    const controller = new AbortController();
    const left = keyring.encrypt(noise(1), { signal: controller.signal }).catch((error: unknown) => error);
    controller.abort("left");
    expect(await left).toBe("left");
    const { code, whose } = await clock.finish(late);
    expect([code, whose, provider.calls]).toEqual(["timeout", "vendor", []]);
  });

  test("comes after the arguments, and its refusal is an outcome", async () => {
    const events: KeyringEvent[] = [];
    const gate: Gate = () => {
      throw new EnvelockError("access-denied", "suspended");
    };
    const tenant = { id: "acme", generation: 4 };
    const keyring = new Keyring({ wrapWith: [kek()], gate, tenant, onEvent: (event) => events.push(event) });
    expect((await refusal(() => keyring.decrypt(noise(9)))).code).toBe("malformed-envelope");
    expect((await refusal(() => keyring.encrypt(noise(9)))).code).toBe("access-denied");
    expect(events).toMatchObject([
      { type: "operation", operation: "decrypt", outcome: "malformed-envelope", tenant: "acme", generation: 4 },
      { type: "operation", operation: "encrypt", outcome: "access-denied", tenant: "acme", generation: 4 },
    ]);
  });

  test("must be a function", async () => {
    const options: object = { wrapWith: [kek()], gate: true };
    expect((await refusal(() => Reflect.construct(Keyring, [options]))).message).toContain("gate");
  });
});

const UPLOAD = { plaintextBytes: 9, partBytes: 5 * 2 ** 20 } as const;

function closable(): { refusal: unknown; readonly decide: Gate } {
  const gate: { refusal: unknown; decide: Gate } = {
    refusal: undefined,
    decide() {
      if (gate.refusal !== undefined) throw gate.refusal;
    },
  };
  return gate;
}

/** A keyring whose cache and data key for reuse are filled. */
async function warm(gate: Gate): Promise<Ready & { readonly provider: WatchedProvider }> {
  const provider = watched(kek());
  const keyring = new Keyring({ wrapWith: [provider], cache: {}, reuse: {}, gate });
  const envelope = await keyring.encryptJson("text");
  const detached = await keyring.encryptDetached(noise(9));
  const { keyRecord } = await keyring.createDataKey();
  await keyring.decrypt(envelope);
  await keyring.unwrapDataKey(keyRecord);
  return { keyring, provider, envelope, detached, keyRecord };
}
