import { Agent } from "node:http";
import { afterAll, describe, expect, test } from "vitest";
import { type AzureBlobsOptions, type AzureContainerClient, azureBlobs } from "../../src/blobs/azure/index.ts";
import { blobConformance } from "../../src/blobs/conformance/index.ts";
import type { BlobFetch, BlobRequest } from "../../src/blobs/http.ts";
import { encryptedStore, rewrapStale } from "../../src/blobs/index.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { noise } from "../support/arbitraries.ts";
import { containerClient, startAzurite, storageBlobSdk } from "../support/azurite.ts";
import { expectSameBytes } from "../support/bytes.ts";
import { kek } from "../support/keks.ts";
import { refusal } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";
import { expectFreedConnections } from "./freed-connections.ts";
import { inPieces, KEY_CONTEXT, keyringOf, newName, storedBytesOf, storeOf, wholeOf } from "./set-up.ts";
import { nameCase } from "./store-cases.ts";

const azurite = await startAzurite();
afterAll(() => azurite.close());
const container = await azurite.createContainer();
const client = containerClient(azurite, container);
const SAS = { url: `${azurite.url}/${container}`, sas: azurite.sas(container) };

describe("by a client of @azure/storage-blob", () => {
  for (const { name, run } of blobConformance({ open: () => azureBlobs(client) })) test(name, run);
});

describe("by fetch and a SAS", () => {
  for (const { name, run } of blobConformance({ open: () => azureBlobs(SAS) })) test(name, run);
});

/** The client, of an identity that has no right to tags unless its permissions have `t`. */
function denyingTags(permissions = "t"): AzureContainerClient {
  if (permissions.includes("t")) return client;
  const denied = Object.assign(new Error("denied"), { statusCode: 403, code: "AuthorizationPermissionMismatch" });
  const { listBlobsFlat, findBlobsByTags } = client;
  return {
    listBlobsFlat: listBlobsFlat.bind(client),
    findBlobsByTags: findBlobsByTags.bind(client),
    getBlockBlobClient: (name) => Object.assign(client.getBlockBlobClient(name), { getTags: () => Promise.reject(denied) }),
  };
}

describe("the digest of each block", () => {
  test.each([
    ["md5", {}],
    ["none", { blockDigest: "none" }],
  ] as const)("%s: by fetch and by a client", async (digest, options) => {
    const sent: boolean[] = [];
    const watching: BlobFetch = async (url, request) => {
      if (url.includes("comp=block&")) sent.push("content-md5" in request.headers);
      return await fetch(url, request);
    };
    const watched = {
      listBlobsFlat: client.listBlobsFlat.bind(client),
      findBlobsByTags: client.findBlobsByTags.bind(client),
      getBlockBlobClient(name: string) {
        const blob = client.getBlockBlobClient(name);
        const stageBlock = blob.stageBlock.bind(blob);
        blob.stageBlock = async (id: string, body: Uint8Array, length: number, given: object): Promise<unknown> => {
          sent.push("transactionalContentMD5" in given);
          return await stageBlock(id, body, length, given);
        };
        return blob;
      },
    };
    for (const [way, place] of Object.entries({ fetch: { ...SAS, fetch: watching }, client: watched })) {
      const store = storeOf(azureBlobs(place, options));
      await store.put(`digest/${way}-${digest}`, noise(100_000));
      expectSameBytes(await wholeOf(store, `digest/${way}-${digest}`), noise(100_000));
    }
    expect(sent).toEqual(Array.from({ length: 4 }, () => digest === "md5"));
  });

  test("another one is refused", async () => {
    expect(await refusal(() => azureBlobs(SAS, untyped({ blockDigest: "crc64" })))).toMatchObject({ code: "invalid-argument" });
  });
});

describe.each([
  ["client", () => azureBlobs(client)],
  ["SAS", () => azureBlobs(SAS)],
] as const)("encrypted, by %s", (way, open) => {
  nameCase(open, newName);

  test("20 MiB in three blocks, and back", async () => {
    const store = storeOf(open());
    await store.put(`${way}/large`, inPieces(noise(20 * 2 ** 20), 65_536));
    const { committedBlocks } = await client.getBlockBlobClient(`${way}/large`).getBlockList("committed");
    const sizes = committedBlocks.map(({ size }: { readonly size: number }) => size);
    expect(sizes.slice(1, 3)).toEqual([8_388_608, 8_388_608]);
    expect(sizes[0]).toBeLessThan(300);
    expectSameBytes(await wholeOf(store, `${way}/large`), noise(20 * 2 ** 20));
  });

  test("wiped properties: a rewrap sends all of them again, and no byte of the body", async () => {
    const name = `${way}/props`;
    const backing = open();
    await storeOf(backing).put(name, noise(100_000), { describe: { name: "a" } });
    const blob = client.getBlockBlobClient(name);
    await blob.setHTTPHeaders({ blobContentType: "video/mp4", blobCacheControl: "no-transform", blobContentDisposition: "attachment" });
    const { metadata } = await blob.getProperties();
    await blob.setMetadata({ ...metadata, theirs: "kept" });
    await blob.setTags({ ...(await blob.getTags()).tags, project: "seven" });
    await blob.setAccessTier("Cool");
    const before = await storedBytesOf(backing, name);
    expect(await storeOf(backing, keyringOf("new", "old")).rewrap(name)).toBe("rewrapped");
    const after = await blob.getProperties();
    expect(after).toMatchObject({
      contentType: "video/mp4",
      cacheControl: "no-transform",
      contentDisposition: "attachment",
      accessTier: "Cool",
      metadata: expect.objectContaining({ theirs: "kept", envelock: "1" }),
    });
    const { tags } = await blob.getTags();
    expect(tags).toMatchObject({ project: "seven", envelock_1: after.metadata.envelock_keys });
    const now = await storedBytesOf(backing, name);
    expectSameBytes(now.subarray(-100_000), before.subarray(-100_000));
    expectSameBytes(await wholeOf(storeOf(backing, keyringOf("new")), name), noise(100_000));
    expect((await storeOf(backing, keyringOf("new")).get(name)).description).toEqual({ name: "a" });
  });

  test("block-list race: of two rewraps one wins, and the blob stays whole", async () => {
    const name = `${way}/race`;
    const backing = open();
    await storeOf(backing).put(name, noise(50_000));
    const movers = ["new-1", "new-2", "new-3"].map((key) => storeOf(backing, keyringOf(key, "old", "new-1", "new-2", "new-3")));
    const outcomes = await Promise.all(movers.map((mover) => mover.rewrap(name)));
    for (const outcome of outcomes) expect(["rewrapped", "changed"]).toContain(outcome);
    expect(outcomes).toContain("rewrapped");
    expectSameBytes(await wholeOf(storeOf(backing, keyringOf("x", "new-1", "new-2", "new-3")), name), noise(50_000));
  });

  test("of uploads that replace one name at once, each is stored whole or says that it was overtaken", async () => {
    const name = `${way}/overtaken`;
    const store = storeOf(open());
    const uploads = [1, 2, 3, 4].map(async (seed) => await store.put(name, noise(100_000, seed), { replace: true }));
    const outcomes = await Promise.allSettled(uploads);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ detail: "blob-changed", hint: expect.any(String) });
    }
    expect(outcomes.map(({ status }) => status)).toContain("fulfilled");
    const stored = Buffer.from(await wholeOf(store, name));
    const kept = outcomes.findIndex((_, at) => stored.equals(Buffer.from(noise(100_000, at + 1))));
    expect(outcomes[kept]?.status).toBe("fulfilled");
  });

  test("Put Blob fallback: a blob without blocks is sent anew if it is small", async () => {
    const name = `${way}/put-blob`;
    const envelope = await keyringOf("old").encrypt(noise(9000), { context: { object: name } });
    await client.getBlockBlobClient(name).upload(envelope, envelope.length, { metadata: { theirs: "kept" } });
    const backing = open();
    expect(await storeOf(backing, keyringOf("new", "old")).rewrap(name)).toBe("rewrapped");
    expectSameBytes(await wholeOf(storeOf(backing, keyringOf("new")), name), noise(9000));
    expect((await client.getBlockBlobClient(name).getProperties()).metadata.theirs).toBe("kept");
    const small = azureBlobs(way === "SAS" ? SAS : client, { mostResentBytes: 100 });
    expect(await storeOf(small, keyringOf("newer", "new")).rewrap(name)).toBe("not-possible");
  });

  test("a leased blob is rewrapped by the holder of the lease alone", async () => {
    const name = `${way}/leased`;
    const backing = open();
    await storeOf(backing).put(name, noise(100));
    const { leaseId } = await client.getBlockBlobClient(name).getBlobLeaseClient().acquireLease(-1);
    expect(await storeOf(backing, keyringOf("new", "old")).rewrap(name)).toBe("not-possible");
    const holder = azureBlobs(way === "SAS" ? SAS : client, { leaseId: () => leaseId });
    expect(await storeOf(holder, keyringOf("new", "old")).rewrap(name)).toBe("rewrapped");
  });

  test("tags that the caller may not read are not wiped by a rewrap: it refuses", async () => {
    const name = `${way}/others-tags`;
    const opened = (options: AzureBlobsOptions, permissions?: string) =>
      azureBlobs(way === "SAS" ? { ...SAS, sas: azurite.sas(container, permissions) } : denyingTags(permissions), options);
    await storeOf(opened({ indexTags: false })).put(name, noise(100));
    const blob = client.getBlockBlobClient(name);
    const narrow = storeOf(opened({ indexTags: false }, "rw"), keyringOf("new", "old"));
    expect(await narrow.rewrap(name)).toBe("rewrapped"); // it is stated that there are none
    await blob.setTags({ project: "seven" });
    for (const options of [{}, { indexTags: false }]) {
      const store = storeOf(opened(options, "rw"), keyringOf("newer", "new"));
      const refused = await refusal(() => store.rewrap(name));
      expect(refused).toMatchObject({ code: "access-denied", hint: expect.stringContaining("indexTags: false") });
    }
    expect((await blob.getTags()).tags).toEqual({ project: "seven" });
    expect(await storeOf(opened({ indexTags: false }), keyringOf("newer", "new")).rewrap(name)).toBe("rewrapped");
    expect((await blob.getTags()).tags).toEqual({ project: "seven" }); // kept, although none of ours are written
  });

  test("an archived blob is not possible to rewrap, and ends no search", async () => {
    const backing = open();
    const old = storeOf(backing);
    for (const name of ["a", "b", "c"]) await old.put(`${way}/archive/${name}`, noise(10));
    await client.getBlockBlobClient(`${way}/archive/b`).setAccessTier("Archive");
    const mover = storeOf(backing, keyringOf("new", "old"));
    expect(await mover.rewrap(`${way}/archive/b`)).toBe("not-possible");
    expect(await refusal(() => mover.get(`${way}/archive/b`))).toMatchObject({ detail: "archived", hint: expect.any(String) });
    const outcomes: string[] = [];
    for await (const { name, outcome } of rewrapStale(mover, { prefix: `${way}/archive/` })) outcomes.push(`${name.at(-1)} ${outcome}`);
    expect(outcomes).toEqual(["a rewrapped", "b not-possible", "c rewrapped"]);
  });

  test("stale blobs are found by their index tags", async () => {
    const backing = open();
    const old = storeOf(backing, keyringOf(`old-${way}`));
    for (const name of ["a", "b", "c"]) await old.put(`${way}/stale/${name}`, noise(10));
    const mover = storeOf(backing, keyringOf("new", `old-${way}`));
    await mover.rewrap(`${way}/stale/b`);
    const found: string[] = [];
    for await (const name of mover.findStale({ wrappedBy: { provider: "local", keyId: `old-${way}` } })) found.push(name);
    expect(found.sort()).toEqual([`${way}/stale/a`, `${way}/stale/c`]);
    const again = mover.findStale({ wrappedBy: { provider: "local", keyId: `old-${way}` }, after: `${way}/stale/a` }); // an index has no order
    expect((await again.next()).done).toBe(false);
  });

  test("a blob of more keys than there are tags is found by each of them", async () => {
    const backing = open();
    const ids = Array.from({ length: 6 }, (_, at) => `many-${way}-${at}`);
    const [first = "", ...others] = ids;
    const many = new Keyring({ wrapWith: [kek(first), ...others.map(kek)], context: KEY_CONTEXT });
    await storeOf(backing, many).put(`${way}/many`, noise(10));
    for (const keyId of ids) {
      const found: string[] = [];
      for await (const name of storeOf(backing, many).findStale({ wrappedBy: { provider: "local", keyId } })) found.push(name);
      expect(found).toEqual([`${way}/many`]);
    }
    expect(await storeOf(backing, keyringOf("few", ...ids)).rewrap(`${way}/many`)).toBe("rewrapped");
    expect(Object.keys((await client.getBlockBlobClient(`${way}/many`).getTags()).tags)).toEqual(["envelock_1"]);
  });

  test("a container that is not there is said to be missing", async () => {
    const nowhere =
      way === "SAS" ? { ...SAS, url: `${azurite.url}/nowhere`, sas: azurite.sas("nowhere") } : containerClient(azurite, "nowhere");
    expect(await refusal(() => storeOf(azureBlobs(nowhere)).get("x"))).toMatchObject({ code: "invalid-argument" });
  });
});

describe("by fetch alone", () => {
  function watched(log: { readonly method: string; readonly url: string; readonly request: BlobRequest }[]): BlobFetch {
    return async (url, request) => {
      log.push({ method: request.method, url, request });
      return await fetch(url, request);
    };
  }

  /** Adds headers to what the service says of a blob, and notes each request with the encryption scope that it names. */
  function describing(added: Readonly<Record<string, string>>, log: string[]): BlobFetch {
    return async (url, request) => {
      const { "x-ms-encryption-scope": scope, ...headers } = request.headers;
      log.push(`${request.method} ${/comp=(\w+)/.exec(url)?.[1]} ${scope}`);
      const answer = await fetch(url, { ...request, headers }); // Azurite knows no scopes
      if (request.method !== "HEAD") return answer;
      return new Response(null, { status: answer.status, headers: { ...Object.fromEntries(answer.headers), ...added } });
    };
  }

  test("tag race: the commit of a rewrap names the tag that it read", async () => {
    const log: { readonly method: string; readonly url: string; readonly request: BlobRequest }[] = [];
    const backing = azureBlobs({ ...SAS, fetch: watched(log) });
    await storeOf(backing).put("tagged", noise(100));
    const { tags } = await client.getBlockBlobClient("tagged").getTags();
    log.length = 0;
    expect(await storeOf(backing, keyringOf("new", "old")).rewrap("tagged")).toBe("rewrapped");
    const commit = log.find(({ method, url }) => method === "PUT" && url.includes("comp=blocklist"));
    expect(commit?.request.headers["x-ms-if-tags"]).toBe(`"envelock_1" = '${tags.envelock_1}'`);
  });

  test.each([
    ["a policy", { "x-ms-immutability-policy-until-date": "Fri, 01 Jan 2027 00:00:00 GMT" }],
    ["a legal hold", { "x-ms-legal-hold": "true" }],
    ["a date on which it expires", { "x-ms-expiry-time": "Fri, 01 Jan 2027 00:00:00 GMT" }],
  ])("a rewrap takes no blob away from %s", async (what, added) => {
    const log: string[] = [];
    const backing = azureBlobs({ ...SAS, fetch: describing(added, log) });
    await storeOf(backing).put(`held by ${what}`, noise(10));
    log.length = 0;
    expect(await storeOf(backing, keyringOf("new", "old")).rewrap(`held by ${what}`)).toBe("not-possible");
    expect(log.filter((line) => line.startsWith("PUT"))).toEqual([]);
  });

  test("a rewrap stays within the encryption scope of the blob", async () => {
    const log: string[] = [];
    const backing = azureBlobs({ ...SAS, fetch: describing({ "x-ms-encryption-scope": "acme" }, log) });
    await storeOf(backing).put("scoped", noise(10));
    log.length = 0;
    expect(await storeOf(backing, keyringOf("new", "old")).rewrap("scoped")).toBe("rewrapped");
    expect(log.filter((line) => line.startsWith("PUT"))).toEqual(["PUT block acme", "PUT blocklist acme"]);
  });

  test("an account with a hierarchical namespace has no tags to keep", async () => {
    const answer = { status: 409, headers: { "x-ms-error-code": "FeatureNotYetSupportedForHierarchicalNamespaceAccounts" } };
    const hierarchical: BlobFetch = async (url, request) =>
      url.includes("comp=tags") ? new Response(null, answer) : await fetch(url, request);
    const backing = azureBlobs({ ...SAS, sas: azurite.sas(container, "rwc"), fetch: hierarchical });
    await storeOf(backing).put("hierarchical", noise(10));
    expect(await storeOf(backing, keyringOf("new", "old")).rewrap("hierarchical")).toBe("rewrapped");
  });

  test("a caller that may only create is told so when it replaces", async () => {
    const answer = { status: 403, headers: { "x-ms-error-code": "UnauthorizedBlobOverwrite" } };
    const creating: BlobFetch = async (url, request) =>
      url.includes("comp=blocklist") && request.method === "PUT" ? new Response(null, answer) : await fetch(url, request);
    const store = storeOf(azureBlobs({ ...SAS, fetch: creating }));
    expect(await refusal(() => store.put("made", noise(10)))).toMatchObject({ detail: "blob-exists" });
    expect(await refusal(() => store.put("made", noise(10), { replace: true }))).toMatchObject({ code: "access-denied" });
  });

  test("a SAS of `cw` uploads without tags, and is told what it may not", async () => {
    const narrow = storeOf(azureBlobs({ ...SAS, sas: azurite.sas(container, "cw") }));
    await narrow.put("narrow", noise(100));
    expect(await refusal(() => narrow.get("narrow"))).toMatchObject({ code: "access-denied" });
    expectSameBytes(await wholeOf(storeOf(azureBlobs(SAS)), "narrow"), noise(100));
  });

  test("messages and errors hold no signature", async () => {
    const broken = azureBlobs({ ...SAS, sas: SAS.sas.replace(/sig=[^&]*/, `sig=${"A".repeat(43)}%3D`), fetch });
    const error = await refusal(() => storeOf(broken).get("x"));
    expect(error.code).toBe("access-denied");
    expect(JSON.stringify(error)).not.toContain("sig");
  });

  test("opening and a range of 1 MiB are two requests", async () => {
    const log: { readonly method: string; readonly url: string; readonly request: BlobRequest }[] = [];
    await storeOf(azureBlobs(SAS)).put("ranged", noise(5 * 2 ** 20));
    const blob = await storeOf(azureBlobs({ ...SAS, fetch: watched(log) })).get("ranged");
    expectSameBytes(await blob.read(2 ** 21, 2 ** 21 + 2 ** 20), noise(5 * 2 ** 20).subarray(2 ** 21, 2 ** 21 + 2 ** 20));
    expect(log.length).toBe(2);
  });

  test("connections that break in the body are taken up again", async () => {
    await storeOf(azureBlobs(SAS)).put("broken", noise(1_000_000));
    const breaking: BlobFetch = async (url, request) => {
      const answer = await fetch(url, request);
      if (request.method !== "GET" || answer.body === null) return answer;
      let left = 65_536;
      const cut = new TransformStream<Uint8Array, Uint8Array>({
        transform(piece, controller) {
          controller.enqueue(piece.subarray(0, left));
          left -= piece.length;
          if (left <= 0) controller.error(new TypeError("terminated"));
        },
      });
      return new Response(answer.body.pipeThrough(cut), answer);
    };
    const store = encryptedStore(keyringOf("old"), azureBlobs({ ...SAS, fetch: breaking }), { context: (name) => ({ object: name }) });
    expectSameBytes(await wholeOf(store, "broken"), noise(1_000_000));
  });

  test("a url that is not https is refused, except on this machine", async () => {
    expect(await refusal(() => azureBlobs({ url: "http://acme.blob.core.windows.net/c", sas: "sp=r" }))).toMatchObject({
      code: "invalid-argument",
    });
    expect(await refusal(() => azureBlobs({ url: "https://acme.blob.core.windows.net/", sas: "sp=r" }))).toMatchObject({
      code: "invalid-argument",
    });
  });

  test("a client's download that is left in any way frees its connection", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const place = `${azurite.url}/${container}?${azurite.sas(container)}`;
    const sdk = storageBlobSdk();
    await expectFreedConnections(azureBlobs(new sdk.ContainerClient(place, undefined, { agent })), agent);
    agent.destroy();
  });
});
