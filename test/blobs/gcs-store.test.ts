import { randomUUID } from "node:crypto";
import { afterAll, describe, expect, test } from "vitest";
import { type GcsBlobsOptions, type GcsBucket, gcsBlobs } from "../../src/blobs/gcs/index.ts";
import type { BlobStore } from "../../src/blobs/index.ts";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { parseHeader } from "../../src/core/format/envelope.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { GcsAnswer, GcsEmulator } from "../../src/testing/gcs/index.ts";
import { noise } from "../support/arbitraries.ts";
import { expectSameBytes } from "../support/bytes.ts";
import { kek } from "../support/keks.ts";
import { refusal } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { memoryOverlays } from "./overlay-table.ts";
import { collected, inPieces, KEY_CONTEXT, keyringOf, storedBytesOf, storeOf, wholeOf } from "./set-up.ts";

const MIB = 2 ** 20;
/** Two blocks and a rest. */
const LONG = 1_200_000;
const END = ".envelock-header";
const emulator = await GcsEmulator.start();
afterAll(() => emulator.close());
emulator.createBucket("blobs");

/** A store with small blocks, so that several of them are quick. */
function open(options: GcsBlobsOptions = {}, place: Partial<GcsBucket> = {}): BlobStore {
  const store = gcsBlobs({ ...emulator.connection, bucket: "blobs", ...place }, options);
  return { ...store, blocks: { ...store.blocks, bytes: 512 * 1024 } };
}

function newName(): string {
  return `store/${randomUUID()}`;
}

/** A keyring whose headers are long: for many recipients with long names. */
function longKeyring(name: string, ...unwrap: readonly string[]): Keyring {
  const wrapWith = Array.from({ length: 16 }, (_, at) => kek(`${name}-${at}-${"x".repeat(240)}`));
  return new Keyring({ wrapWith, unwrapWith: unwrap.map(kek), context: KEY_CONTEXT });
}

/** Speaks the JSON API by hand: another program's requests. */
async function api(method: string, path: string, body?: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
  const authorization = { authorization: `Bearer ${emulator.token}`, ...headers };
  return await fetch(`${emulator.url}${path}`, { method, headers: authorization, ...(body !== undefined && { body }) });
}

function objectPath(name: string): string {
  return `/storage/v1/b/blobs/o/${encodeURIComponent(name)}`;
}

async function patched(name: string, resource: object): Promise<void> {
  expect((await api("PATCH", objectPath(name), JSON.stringify(resource))).status).toBe(200);
}

function sidecars(name: string): readonly string[] {
  return emulator.objectNames("blobs").filter((each) => each.startsWith(name) && each.endsWith(END));
}

async function staleNames(store: ReturnType<typeof storeOf>, options: Parameters<typeof store.findStale>[0]): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const name of store.findStale(options)) names.push(name);
  return names;
}

describe("an encrypted store", () => {
  test("9 MiB of unknown length, and back: whole, a range, by HTTP, verified", async () => {
    const [store, name] = [storeOf(gcsBlobs({ ...emulator.connection, bucket: "blobs" })), newName()];
    const result = await store.put(name, inPieces(noise(9 * MIB), 65_536), { describe: { name: "ä 7.bin", type: "text/plain" } });
    expect(result).toMatchObject({ plaintextBytes: 9 * MIB, etag: expect.stringMatching(/^\d{16}$/) });
    expectSameBytes(await wholeOf(store, name), noise(9 * MIB));
    const blob = await store.get(name);
    expect(blob.description).toEqual({ name: "ä 7.bin", type: "text/plain" });
    expectSameBytes(await blob.read(8 * MIB, 8 * MIB + 1000), noise(9 * MIB).subarray(8 * MIB, 8 * MIB + 1000));
    blob.close();
    const answer = await store.httpHandler({ name: () => name })(new Request("http://x/", { headers: { range: "bytes=-5" } }));
    expectSameBytes(new Uint8Array(await answer.arrayBuffer()), noise(9 * MIB).subarray(-5));
    expect(await store.verify(name, "all")).toMatchObject({ plaintextBytes: 9 * MIB });
  });

  test("an envelope whose length is a multiple of 256 KiB is whole without a last block", async () => {
    const [backing, name] = [open(), newName()];
    const blocks = [noise(512 * 1024, "1"), noise(256 * 1024, "2")];
    const upload = await backing.create(name, { metadata: {}, keys: [], condition: { ifNone: "*" } });
    for (const [index, block] of blocks.entries()) await upload.put(index, block);
    expect(await upload.commit({ ifNone: "*" })).not.toBe("changed");
    expectSameBytes(await storedBytesOf(backing, name), Buffer.concat(blocks));
  });

  test("a rewrap moves the key: bytes, generation and other metadata stay, and readers go on", async () => {
    const [backing, name] = [open(), newName()];
    await storeOf(backing).put(name, noise(LONG), { describe: { name: "a" } });
    await patched(name, { metadata: { "their-own": "kept ä" }, contentType: "video/mp4" });
    const before = await backing.open(name, 2 ** 31 - 1);
    const reader = await storeOf(backing).get(name);
    const mover = storeOf(backing, keyringOf("new", "old"));
    expect([await mover.rewrap(name), await mover.rewrap(name)]).toEqual(["rewrapped", "current"]);
    const after = await backing.open(name, 2 ** 31 - 1);
    expectSameBytes(after?.first ?? noise(1), before?.first ?? noise(2));
    expect([after?.etag, after?.metadata["their-own"]]).toEqual([before?.etag, "kept ä"]);
    expect(await (await api("GET", objectPath(name))).json()).toMatchObject({ contentType: "video/mp4", metageneration: "3" });
    expectSameBytes(await collected(reader), noise(LONG));
    const moved = storeOf(backing, keyringOf("new"));
    expectSameBytes(await wholeOf(moved, name), noise(LONG));
    expect((await moved.get(name)).description).toEqual({ name: "a" });
    expect(await staleNames(mover, { prefix: name })).toEqual([]);
    expect(sidecars(name)).toEqual([]);
  });

  test("of three rewraps at once one wins at least, and the blob opens", async () => {
    const [backing, name] = [open(), newName()];
    await storeOf(backing).put(name, noise(50_000));
    const keys = ["new-1", "new-2", "new-3"];
    const outcomes = await Promise.all(keys.map((key) => storeOf(backing, keyringOf(key, "old", ...keys)).rewrap(name)));
    for (const outcome of outcomes) expect(["rewrapped", "changed"]).toContain(outcome);
    expect(outcomes).toContain("rewrapped");
    expectSameBytes(await wholeOf(storeOf(backing, keyringOf("x", ...keys)), name), noise(50_000));
  });

  test("old keys are found by the metadata of a list, and blobs without any by their headers", async () => {
    const [backing, prefix] = [open(), newName()];
    for (const end of ["a", "b"]) await storeOf(backing).put(`${prefix}/${end}`, noise(10));
    await storeOf(backing, keyringOf("new", "old")).rewrap(`${prefix}/b`);
    await storeOf(backing, keyringOf("other")).put(`${prefix}/c`, noise(10));
    await storeOf(backing).put(`${prefix}/copied`, noise(10));
    await patched(`${prefix}/copied`, { metadata: null });
    emulator.takeRequests();
    const found = await staleNames(storeOf(backing), { prefix, wrappedBy: { provider: "local", keyId: "old" } });
    expect(found).toEqual([`${prefix}/a`, `${prefix}/copied`]);
    const opened = new Set(emulator.takeRequests().flatMap(({ object }) => object ?? []));
    expect([...opened].sort()).toEqual(found);
    expect(await staleNames(storeOf(backing), { prefix, wrappedBy: { provider: "local", keyId: "new" } })).toEqual([`${prefix}/b`]);
  });

  test("a small blob is one request to put and two at once to open, a range one more", async () => {
    const [store, name] = [storeOf(open()), newName()];
    const calls = (): readonly string[] => emulator.takeRequests().flatMap(({ operation }) => operation ?? []);
    calls();
    await store.put(name, noise(1000));
    expect(calls()).toEqual(["objects.insert"]);
    await store.put(`${name}-2`, inPieces(noise(LONG), 65_536));
    expect(calls()).toEqual(["uploads.begin", "uploads.write", "uploads.write", "uploads.write"]);
    const blob = await store.get(`${name}-2`);
    await blob.read(600_000, 700_000);
    expect(calls().toSorted()).toEqual(["objects.get", "objects.media", "objects.media"]);
  });

  test("names that need escaping come back from a list; what no blob is called is left out", async () => {
    const [backing, prefix] = [open(), newName()];
    const names = ["a b+c%20&<d>'(e)*!", "ä/日本/🦀", "~x=1?y#z", "%2F"].map((end) => `${prefix}/${end}`);
    for (const name of names) await storeOf(backing).put(name, noise(10));
    for (const odd of [`${prefix}/`, `${prefix}/../up`, `${prefix}/a\\b`, `${prefix}/x${END}`]) {
      const answer = await api("POST", `/upload/storage/v1/b/blobs/o?uploadType=media&name=${encodeURIComponent(odd)}`, "x");
      expect(answer.status).toBe(200);
    }
    const listed: string[] = [];
    for await (const { name } of storeOf(backing).list({ prefix: `${prefix}/` })) listed.push(name);
    expect(listed.toSorted()).toEqual(names.toSorted());
    for (const name of names) expectSameBytes(await wholeOf(storeOf(backing), name), noise(10));
    expect((await backing.list({ prefix: `${prefix}/`, limit: 2 })).length).toBe(2);
  });
});

describe("a header that is too long for metadata", () => {
  test("stands in an object of its own, which a further rewrap and a delete remove", async () => {
    const [backing, name] = [open(), newName()];
    await storeOf(backing).put(name, noise(1000));
    const mover = storeOf(backing, longKeyring("new", "old"));
    expect([await mover.rewrap(name), await mover.rewrap(name)]).toEqual(["rewrapped", "current"]);
    const [first] = sidecars(name);
    expect(sidecars(name)).toEqual([expect.stringMatching(/\.[a-z2-7]{7}\.envelock-header$/)]);
    expectSameBytes(await wholeOf(storeOf(backing, longKeyring("new")), name), noise(1000));
    const second = storeOf(backing, longKeyring("third", ...Array.from({ length: 16 }, (_, at) => `new-${at}-${"x".repeat(240)}`)));
    expect(await second.rewrap(name)).toBe("rewrapped");
    expect(sidecars(name)).toHaveLength(1);
    expect(sidecars(name)).not.toContain(first);
    const listed = await backing.list({ prefix: name, limit: 10 });
    expect(listed.map((entry) => entry.name)).toEqual([name]);
    expect(await second.delete(name)).toBe(true);
    expect(sidecars(name)).toEqual([]);
  });

  test("so does one that other metadata leaves no room for, up to the limit of 8 KiB", async () => {
    const [backing, name] = [open(), newName()];
    await storeOf(backing).put(name, noise(1000));
    await patched(name, { metadata: { one: "1".repeat(4000), two: "2".repeat(4000) } });
    expect(await storeOf(backing, keyringOf("new", "old")).rewrap(name)).toBe("rewrapped");
    expect(sidecars(name)).toHaveLength(1);
    expectSameBytes(await wholeOf(storeOf(backing, keyringOf("new")), name), noise(1000));
    await storeOf(backing).put(`${name}-2`, noise(1000));
    await patched(`${name}-2`, { metadata: { one: "1".repeat(4000), two: "2".repeat(4000), three: "3".repeat(85) } });
    expect(await storeOf(backing, keyringOf("new", "old")).rewrap(`${name}-2`)).toBe("not-possible");
    expect(sidecars(`${name}-2`)).toEqual([]);
  });

  test("leaves nothing where another rewrap was first, and is found again while one goes on", async () => {
    const [backing, name] = [open(), newName()];
    await storeOf(backing).put(name, noise(1000));
    const blob = await backing.open(name, 100);
    const change = { ownHeaderBytes: 129, header: noise(5000), keys: [] };
    await storeOf(backing, longKeyring("new", "old")).rewrap(name);
    expect(await blob?.replaceHeader(change)).toBe("changed");
    expect(sidecars(name)).toHaveLength(1);
    // the object that the metadata names is replaced between the two looks of an open
    const meanwhile = async (): Promise<void> => {
      const now = await backing.open(name, 100);
      await now?.replaceHeader({ ...change, header: now.overlay?.header ?? noise(1) });
    };
    const [sidecar = ""] = sidecars(name);
    emulator.failNext({ meanwhile }, new RegExp(`${sidecar} objects.media`));
    expectSameBytes(await wholeOf(storeOf(backing, longKeyring("new")), name), noise(1000));
  });

  test.each([
    ["envelock_header", "no base64url!"],
    ["envelock_header", ""],
    ["envelock_header_at", "../../other.1"],
    ["envelock_header_at", "abcdefg.0"],
    ["envelock_header_at", "abcdefg.1/x"],
  ])("metadata that is none is refused: %s %j", async (key, value) => {
    const [backing, name] = [open(), newName()];
    await storeOf(backing).put(name, noise(1000));
    await patched(name, { metadata: { [key]: value } });
    expect(await refusal(() => storeOf(backing).get(name))).toMatchObject({ code: "malformed-envelope" });
  });

  test("one of another data key is refused; one that was written for another generation counts for nothing", async () => {
    const [backing, name] = [open(), newName()];
    const store = storeOf(backing);
    for (const each of [name, `${name}-2`]) await store.put(each, noise(1000));
    await storeOf(backing, keyringOf("new", "old")).rewrap(`${name}-2`);
    const { envelock_header: header = "" } = emulator.objectMetadata("blobs", `${name}-2`) ?? {};
    await patched(name, { metadata: { envelock_header: header } });
    expect(await refusal(() => store.get(name))).toMatchObject({ code: "malformed-envelope", detail: "overlay-foreign" });
    await patched(name, { metadata: { envelock_header: header, envelock_header_of: "123" } });
    expectSameBytes(await wholeOf(store, name), noise(1000));
  });

  test("a copy by the service takes the header in the metadata with it", async () => {
    const [backing, name] = [open(), newName()];
    await storeOf(backing).put(name, noise(1000));
    await storeOf(backing, keyringOf("new", "old")).rewrap(name);
    const copied = await api("POST", `${objectPath(name)}/rewriteTo/b/blobs/o/${encodeURIComponent(`${name}-copy`)}`);
    expect(await copied.json()).toMatchObject({ done: true });
    const copy = await backing.open(`${name}-copy`, 1000);
    expect(copy?.overlay?.header).toEqual((await backing.open(name, 10))?.overlay?.header);
    expect(parseHeader(copy?.first ?? noise(1)).headerBytes).toBeGreaterThan(0);
  });
});

describe("conditions", () => {
  test("a name that is taken ends an upload of several blocks at its beginning", async () => {
    const [store, name] = [storeOf(open()), newName()];
    await store.put(name, noise(10));
    emulator.takeRequests();
    expect(await refusal(() => store.put(name, noise(LONG)))).toMatchObject({ code: "invalid-argument", detail: "blob-exists" });
    expect(emulator.takeRequests().map(({ operation }) => operation)).toEqual(["uploads.begin"]);
  });

  test("one that holds at the beginning and no longer at the end: nothing is replaced, and nothing is left", async () => {
    const [store, name] = [storeOf(open()), newName()];
    const { etag } = await store.put(name, noise(10));
    const meanwhile = async (): Promise<unknown> => await store.put(name, noise(20), { replace: true });
    emulator.failNext({ meanwhile }, new RegExp(`${name} uploads.write`));
    expect(await refusal(() => store.put(name, noise(LONG), { ifMatch: etag }))).toMatchObject({ detail: "blob-changed" });
    expectSameBytes(await wholeOf(store, name), noise(20));
    expect(emulator.openUploads("blobs")).toBe(0);
  });

  test("a commit states what the blob was begun with, and a version that cannot be is none", async () => {
    const [backing, name] = [open(), newName()];
    const begun = await backing.create(name, { metadata: {}, keys: [], condition: { ifNone: "*" } });
    await begun.put(0, noise(256 * 1024));
    expect(await refusal(() => begun.commit({ always: true }))).toMatchObject({ code: "invalid-argument" });
    await begun.abort();
    const unsaid = await backing.create(name, { metadata: {}, keys: [] });
    expect((await refusal(() => unsaid.put(0, noise(256 * 1024)))).hint).toContain("condition");
    for (const ifMatch of ["", "0", '"abc"', "12 34"]) {
      const upload = await backing.create(name, { metadata: {}, keys: [] });
      await upload.put(0, noise(100));
      expect(await upload.commit({ ifMatch })).toBe("changed");
      expect(await backing.delete(name, { ifMatch })).toBe(false);
    }
    for (const index of [1, 2]) expect((await refusal(() => begun.put(index, noise(5)))).code).toBe("invalid-argument");
    expect(emulator.openUploads("blobs")).toBe(0);
  });

  test("a held blob is rewrapped, and neither replaced nor deleted", async () => {
    const [backing, name] = [open(), newName()];
    const mover = storeOf(backing, keyringOf("new", "old"));
    await storeOf(backing).put(name, noise(10));
    await patched(name, { temporaryHold: true });
    expect(await mover.rewrap(name)).toBe("rewrapped");
    for (const call of [() => mover.delete(name), () => mover.put(name, noise(5), { replace: true })]) {
      expect(await refusal(call)).toMatchObject({ code: "provider-failure", detail: "held" });
    }
    expectSameBytes(await wholeOf(storeOf(backing, keyringOf("new")), name), noise(10));
  });
});

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

describe("tokens", () => {
  test("come from a text, a function or a client, and a refused one is replaced once", async () => {
    const name = newName();
    await storeOf(open()).put(name, noise(10));
    const tokens = ["ya29.ended", emulator.issueToken()];
    const refused: (string | undefined)[] = [];
    const renewing = (old?: string): string => {
      refused.push(old);
      return (old === undefined ? tokens[0] : tokens[1]) ?? "";
    };
    expectSameBytes(await wholeOf(storeOf(open({}, { token: renewing })), name), noise(10));
    expect(refused).toContain("ya29.ended");
    for (const given of [emulator.token, { token: emulator.token }]) {
      expectSameBytes(await wholeOf(storeOf(open({}, { token: { getAccessToken: async () => given } })), name), noise(10));
    }
    const ended = open({}, { token: () => "ya29.ended" });
    expect(await refusal(() => ended.open(name, 10))).toMatchObject({ code: "access-denied", detail: "credential" });
    const silent = open({}, { token: () => new Promise(() => undefined), silenceMs: 10 });
    expect(await refusal(() => silent.open(name, 10))).toMatchObject({ code: "timeout", detail: "credential" });
    for (const token of [() => "", async () => Promise.reject(new Error("no login")), { getAccessToken: async () => null }] as const) {
      expect(await refusal(() => open({}, { token }).open(name, 10))).toMatchObject({ code: "access-denied", detail: "credential" });
    }
  });

  test("a principal that may read and not write is told which rights are missing", async () => {
    const name = newName();
    await storeOf(open()).put(name, noise(10));
    const token = emulator.issueToken({ grants: { "projects/_/buckets/blobs": ["storage.objects.get"] } });
    const reader = open({}, { token });
    expectSameBytes(await wholeOf(storeOf(reader), name), noise(10));
    const mover = storeOf(reader, keyringOf("new", "old"));
    for (const call of [() => mover.rewrap(name), () => mover.delete(name), () => mover.put(`${name}-2`, noise(1))]) {
      expect(await refusal(call)).toMatchObject({ code: "access-denied", hint: expect.stringContaining("roles/storage.objectUser") });
    }
  });
});

describe("options", () => {
  test("what is no bucket, token, URL, class or place is refused", async () => {
    const odd = [
      { bucket: "" },
      { bucket: "Blobs" },
      { bucket: "a/b" },
      { token: "" },
      { token: "line\nbreak" },
      { token: {} },
      { token: null },
      { url: "http://storage.googleapis.com" },
      { url: "https://user:secret@storage.googleapis.com" },
      { url: "https://storage.googleapis.com/path" },
      { url: "https://storage.googleapis.com/?x=1" },
      { endpoint: "https://storage.googleapis.com" },
    ];
    for (const change of odd)
      expect((await refusal(() => open({}, untyped(change)))).code, JSON.stringify(change)).toBe("invalid-argument");
    const options = [{ rewrap: "sidecar" }, { rewrap: {} }, { rewrap: null }, { storageClass: "WARM" }, { mode: "gcs" }];
    for (const change of options) expect((await refusal(() => open(untyped(change)))).code).toBe("invalid-argument");
  });

  test("a bucket that is not there is said, and a storage class stands at the object", async () => {
    const elsewhere = open({}, { bucket: "nowhere" });
    for (const call of [() => elsewhere.list({ limit: 1 }), () => elsewhere.open("a", 1), () => storeOf(elsewhere).put("a", noise(1))]) {
      expect(await refusal(call)).toMatchObject({ code: "invalid-argument", hint: "create the bucket first" });
    }
    const name = newName();
    await storeOf(open({ storageClass: "NEARLINE" })).put(name, noise(1));
    expect(await (await api("GET", objectPath(name))).json()).toMatchObject({
      storageClass: "NEARLINE",
      contentType: "application/octet-stream",
    });
  });

  test("metadata that the service has no room for is refused before anything is sent", async () => {
    emulator.takeRequests();
    for (const metadata of [{ a: "x".repeat(4097) }, { a: "x".repeat(4096), b: "x".repeat(4096) }, { ["n".repeat(1025)]: "x" }]) {
      const error = await refusal(() => open().create(newName(), { metadata, keys: [] }));
      expect(error).toMatchObject({ code: "invalid-argument", detail: "too-large" });
    }
    expect(emulator.takeRequests()).toEqual([]);
  });

  test("a table of the application takes the headers in place of metadata", async () => {
    const table = memoryOverlays();
    const [backing, name] = [open({ rewrap: table }), newName()];
    await storeOf(backing).put(name, noise(100));
    expect(await storeOf(backing, keyringOf("new", "old")).rewrap(name)).toBe("rewrapped");
    expect((await table.read(name))?.blobEtag).toMatch(/^\d+$/);
    expect(emulator.objectMetadata("blobs", name)).not.toHaveProperty("envelock_header");
    expectSameBytes(await wholeOf(storeOf(backing, keyringOf("new")), name), noise(100));
  });
});
