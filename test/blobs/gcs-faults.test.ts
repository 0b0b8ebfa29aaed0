import { describe, expect, test } from "vitest";
import type { GcsBucket } from "../../src/blobs/gcs/index.ts";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { GcsAnswer } from "../../src/testing/gcs/index.ts";
import { noise } from "../support/arbitraries.ts";
import { expectSameBytes } from "../support/bytes.ts";
import { refusal } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { emulator, LONG, open } from "./gcs-places.ts";
import { collected, newName, storeOf, wholeOf } from "./set-up.ts";

describe("faults", () => {
  test.each([
    ["rateLimitExceeded", "rate-limited"],
    ["userRateLimitExceeded", "rate-limited"],
    ["backendError", "unavailable"],
    ["internalError", "unavailable"],
    ["forbidden", "access-denied"],
    ["authError", "access-denied"],
    [new GcsAnswer(404, "notFound", "The specified bucket does not exist."), "invalid-argument"],
    [{ status: 503, text: "<html>", headers: { "retry-after": "7" } }, "unavailable"],
    [{ status: 418, text: "<html>" }, "provider-failure"],
    ["reset", "unavailable"],
    ["garbage", "provider-failure"],
    ["cut", "unavailable"],
  ] as const)("%o of an open is %s", async (fault, code) => {
    const [backing, name] = [open(), newName()];
    await storeOf(backing).put(name, noise(10));
    for (const operation of ["objects.get", "objects.media"]) {
      emulator.failNext(untyped(fault), new RegExp(`${name} ${operation}`), 2);
      const error = await refusal(() => backing.open(name, 10));
      // a description that is cut is no JSON
      expect([code, ...(fault === "cut" ? ["provider-failure"] : [])]).toContain(error.code);
      if (typeof fault === "object" && "headers" in fault) expect(error.retryAfterMs).toBe(7000);
      expect(JSON.stringify(error)).not.toContain(emulator.token);
      emulator.clearFaults();
    }
  });

  test.each([
    ...["lost", "reset", "backendError", "internalError", "rateLimitExceeded", "cut-up:100000"],
    ...["keep:262144", "keep:0", "keep-lost:262144", "keep-lost:0"],
  ] as const)("%s at each call of an upload is passed over, and leaves none", async (fault) => {
    const backing = open();
    const patterns = fault.startsWith("keep") ? ["uploads.write"] : ["uploads.begin", "uploads.write", "objects.insert"];
    for (const operation of patterns) {
      for (const before of operation === "uploads.write" ? [0, 1] : [0]) {
        const [store, name] = [storeOf(backing), newName()];
        const bytes = noise(operation === "objects.insert" ? 200_000 : LONG);
        const on = new RegExp(`${name} ${operation}`);
        if (before > 0) emulator.failNext({ meanwhile: () => undefined }, on, 2); // the blocks before the last
        emulator.failNext(untyped(fault), on);
        await store.put(name, bytes);
        emulator.clearFaults();
        expectSameBytes(await wholeOf(store, name), bytes);
      }
    }
    // an answer to the beginning of an upload that is lost leaves one, of which nobody knows the URL
    if (fault === "lost") emulator.forgetUploads();
    expect(emulator.openUploads("blobs")).toBe(0);
  });

  test("a service that says 308 by its status is understood too", async () => {
    const [store, name] = [storeOf(open()), newName()];
    emulator.failNext({ status: 308, text: "", headers: {} }, new RegExp(`${name} uploads.write`));
    await store.put(name, noise(LONG));
    expectSameBytes(await wholeOf(store, name), noise(LONG));
  });

  test.each(["gone", "notFound"] as const)("a session that is %s is unavailable, and no object appears", async (fault) => {
    const [store, name] = [storeOf(open()), newName()];
    emulator.failNext({ meanwhile: () => undefined }, new RegExp(`${name} uploads.write`), 2);
    emulator.failNext(fault, new RegExp(`${name} uploads.(write|status)`), 50);
    const error = await refusal(() => store.put(name, noise(LONG)));
    expect(error).toMatchObject({ code: "unavailable", hint: expect.stringContaining("put the blob again") });
    emulator.clearFaults();
    expect(emulator.objectBytes("blobs", name)).toBeUndefined();
    expect(emulator.openUploads("blobs")).toBe(0);
  });

  test("an upload whose last answer was lost and whose session is gone is recognised by its salt", async () => {
    const [store, name] = [storeOf(open()), newName()];
    emulator.failNext({ meanwhile: () => undefined }, new RegExp(`${name} uploads.write`), 2);
    emulator.failNext("lost", new RegExp(`${name} uploads.write`));
    emulator.failNext("gone", new RegExp(`${name} uploads.status`), 50);
    const { etag } = await store.put(name, noise(LONG));
    emulator.clearFaults();
    expect((await store.get(name)).etag).toBe(etag);
  });

  test("an object of other bytes than were sent is removed, and no success", async () => {
    const [store, name] = [storeOf(open()), newName()];
    for (const operation of ["objects.insert", "uploads.write"]) {
      const on = new RegExp(`${name} ${operation}`);
      if (operation === "uploads.write") emulator.failNext({ meanwhile: () => undefined }, on, 2);
      emulator.failNext("wrong-checksum", on);
      const error = await refusal(() => store.put(name, noise(operation === "uploads.write" ? LONG : 100)));
      expect(error).toMatchObject({ code: "provider-failure", message: expect.stringContaining("other bytes") });
      expect(emulator.objectBytes("blobs", name)).toBeUndefined();
    }
    const short = { generation: "5", metageneration: "1", size: "5", name };
    emulator.failNext({ status: 200, text: JSON.stringify(short) }, new RegExp(`${name} uploads.write`), 50);
    expect(await refusal(() => store.put(name, noise(LONG)))).toMatchObject({ code: "provider-failure" });
    emulator.clearFaults();
    expect(emulator.openUploads("blobs")).toBe(0);
  });

  test("bytes that change on their way up are refused by the service, and on their way down noticed", async () => {
    const [backing, name] = [open(), newName()];
    const flipped: NonNullable<GcsBucket["fetch"]> = async (url, request) => {
      const body = request.body?.slice();
      if (body !== undefined && request.method === "PUT" && body.length > 0) body[body.length - 1] = (body.at(-1) ?? 0) ^ 1;
      return await fetch(url, { ...request, ...(body !== undefined && { body }) });
    };
    const error = await refusal(() => storeOf(open({}, { fetch: flipped })).put(name, noise(LONG)));
    expect(error.code).toBe("unavailable");
    expect(emulator.objectBytes("blobs", name)).toBeUndefined();
    await storeOf(backing).put(name, noise(100));
    emulator.failNext("wrong-checksum", new RegExp(`${name} objects.get`));
    expect(await refusal(() => backing.open(name, 10_000))).toMatchObject({ code: "unavailable", detail: "checksum" });
  });

  test("a connection that breaks in a body is taken up again; a short answer never passes for the whole", async () => {
    const [store, name] = [storeOf(open()), newName()];
    await store.put(name, noise(LONG));
    for (const fault of ["cut-down:100000", "truncated:100000", "too-long:5", "too-short:5", "wrong-generation"] as const) {
      const blob = await store.get(name);
      emulator.failNext(fault, new RegExp(`${name} objects.media`), 1);
      const outcome = await collected(blob).catch((error: unknown) => error);
      if (outcome instanceof Uint8Array) expectSameBytes(outcome, noise(LONG));
      else expect(EnvelockError.is(outcome) && outcome.code).toMatch(/^(unavailable|malformed-envelope)$/);
      emulator.clearFaults();
      blob.close();
    }
  });

  test("the body of an answer that is of no use is not left open", async () => {
    const name = newName();
    await storeOf(open()).put(name, noise(LONG));
    let left = 0;
    const counting: NonNullable<GcsBucket["fetch"]> = async (url, request) => {
      const { status, headers, body } = await fetch(url, request);
      const reader = body?.getReader();
      left++;
      const counted = new ReadableStream<Uint8Array>({
        async pull(controller) {
          const next = await reader?.read();
          if (next?.value !== undefined) return controller.enqueue(next.value);
          left--;
          controller.close();
        },
        async cancel(reason) {
          left--;
          await reader?.cancel(reason);
        },
      });
      return { status, headers, body: counted, text: async () => "" };
    };
    const blob = await open({}, { fetch: counting }).open(name, 10);
    for (const fault of ["wrong-generation", { status: 200, text: "x", headers: { "x-goog-generation": blob?.etag ?? "" } }] as const) {
      emulator.failNext(fault, new RegExp(`${name} objects.media`));
      const pieces = blob?.read(5, 500_000, { ifMatch: blob.etag });
      expect((await refusal(async () => await pieces?.[Symbol.asyncIterator]().next())).code).toMatch(
        /^(provider-failure|malformed-envelope)$/,
      );
    }
    expect(left).toBe(0);
  });

  test("an object that is replaced between the two answers of an open is read again", async () => {
    const [store, name] = [storeOf(open()), newName()];
    await store.put(name, noise(100));
    const meanwhile = async (): Promise<unknown> => await store.put(name, noise(200), { replace: true });
    for (const operation of ["objects.get", "objects.media"]) {
      emulator.failNext({ meanwhile }, new RegExp(`${name} ${operation}`));
      expectSameBytes(await wholeOf(store, name), noise(200));
    }
    emulator.failNext({ meanwhile }, new RegExp(`${name} objects.get`), 50);
    expect((await refusal(() => open().open(name, 10))).code).toBe("unavailable");
    emulator.clearFaults();
  });

  test("a source that fails leaves no object and no upload", async () => {
    const [store, name] = [storeOf(open()), newName()];
    async function* broken(): AsyncGenerator<Uint8Array, void, undefined> {
      yield noise(LONG);
      throw new RangeError("the source's own");
    }
    await expect(store.put(name, broken())).rejects.toBeInstanceOf(RangeError);
    expect(await refusal(() => store.get(name))).toMatchObject({ detail: "blob-missing" });
    expect(emulator.openUploads("blobs")).toBe(0);
    expect(emulator.takeRequests().map(({ operation }) => operation)).toContain("uploads.cancel");
  });

  test("an abort while a session is begun ends the session too", async () => {
    const [store, name, stop] = [storeOf(open()), newName(), new AbortController()];
    const reason = new Error("enough");
    emulator.takeRequests();
    emulator.failNext({ meanwhile: () => stop.abort(reason) }, new RegExp(`${name} uploads.begin`));
    await expect(store.put(name, noise(LONG), { signal: stop.signal })).rejects.toBe(reason);
    expect(emulator.openUploads("blobs")).toBe(0);
    expect(emulator.takeRequests().map(({ operation }) => operation)).toContain("uploads.cancel");
  });

  test("the answer of a service chooses no host", async () => {
    const [store, name] = [storeOf(open()), newName()];
    const location = "https://198.51.100.1/upload/storage/v1/b/blobs/o?uploadType=resumable&upload_id=theirs";
    emulator.failNext({ status: 200, text: "", headers: { location } }, new RegExp(`${name} uploads.begin`));
    emulator.takeRequests();
    expect((await refusal(() => store.put(name, noise(LONG)))).code).toBe("unavailable");
    expect(emulator.takeRequests().filter(({ query }) => query.includes("theirs")).length).toBeGreaterThan(0);
    for (const odd of ["", "https://198.51.100.1/storage/v1/b/blobs/o/x?upload_id=1", "nothing"]) {
      emulator.failNext({ status: 200, text: "", headers: { location: odd } }, new RegExp(`${name} uploads.begin`));
      expect((await refusal(() => store.put(name, noise(LONG)))).code).toBe("provider-failure");
    }
  });
});
