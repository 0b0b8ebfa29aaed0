import { describe, expect, test } from "vitest";
import { gcsBlobs } from "../../src/blobs/gcs/index.ts";
import { parseHeader } from "../../src/core/format/envelope.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { noise } from "../support/arbitraries.ts";
import { expectSameBytes } from "../support/bytes.ts";
import { kek } from "../support/keks.ts";
import { refusal } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { api, emulator, LONG, objectPath, open, patched } from "./gcs-places.ts";
import { memoryOverlays } from "./overlay-table.ts";
import { collected, inPieces, KEY_CONTEXT, keyringOf, newName, storedBytesOf, storeOf, wholeOf } from "./set-up.ts";
import { storeCases } from "./store-cases.ts";

const END = ".envelock-header";

/** A keyring whose headers are long: for many recipients with long names. */
function longKeyring(name: string, ...unwrap: readonly string[]): Keyring {
  const wrapWith = Array.from({ length: 16 }, (_, at) => kek(`${name}-${at}-${"x".repeat(240)}`));
  return new Keyring({ wrapWith, unwrapWith: unwrap.map(kek), context: KEY_CONTEXT });
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
  storeCases({ open: () => gcsBlobs({ ...emulator.connection, bucket: "blobs" }), newName, etag: /^\d{16}$/ });

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
