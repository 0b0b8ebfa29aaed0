import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gcsBlobs } from "../../../src/blobs/gcs/index.ts";
import { GcsEmulator } from "../../../src/testing/gcs/index.ts";
import { keyringOf, storeOf, wholeOf } from "../../blobs/set-up.ts";
import { noise } from "../../support/arbitraries.ts";
import { expectSameBytes } from "../../support/bytes.ts";
import { installed } from "../../support/npm-tools.ts";

// Google's own client, in a process of its own: what it does here it does there. It checks CRC32C of what it sends and of what it gets.
// It drops the token for a host that is none of its universe, so the emulator's host is named as one.

const modules = installed("foreign", ["@google-cloud/storage@7.22.0"]);
const folder = mkdtempSync(join(tmpdir(), "envelock-gcs-"));
const LONG = 1_200_000;

const WHAT_IT_SAW = {
  location: "EUROPE-WEST3",
  sizes: [100, LONG, LONG, 524_288, 0],
  sameBytes: [true, true, true, true, true],
  range: [...noise(LONG).subarray(1000, 1010)],
  generationOfCreate: true,
  again: 412,
  stale: 412,
  missing: 404,
  exists: [true, false],
  pages: [
    ["theirs/0", "theirs/1"],
    ["theirs/2", "theirs/3"],
  ],
  prefixes: ["ours2/", "theirs/"],
  metadata: { kept: "ü", changed: "2" },
  metageneration: "2",
  composed: [LONG + 100, 2],
  versions: 2,
  held: 403,
  corrupted: true,
  deleted: 404,
};

describe("@google-cloud/storage", () => {
  beforeAll(async () => {
    const envelope = await keyringOf("old").encrypt(noise(300_000), { context: { object: "theirs/envelope" } });
    writeFileSync(join(folder, "envelope"), envelope);
    writeFileSync(join(folder, "long"), noise(LONG));
    writeFileSync(join(folder, "client.cjs"), PROGRAM);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test("buckets, uploads of each kind, ranges, lists, metadata, copies and refusals; and both read what the other wrote", async () => {
    await using emulator = await GcsEmulator.start();
    emulator.createBucket("ours");
    const name = "ours/ä b+c%20.bin";
    const store = gcsBlobs({ ...emulator.connection, bucket: "ours" });
    await storeOf({ ...store, blocks: { ...store.blocks, bytes: 512 * 1024 } }).put(name, noise(LONG), { describe: { name: "x" } });
    await storeOf(store, keyringOf("new", "old")).rewrap(name);

    expect(await client(emulator, name)).toMatchObject(WHAT_IT_SAW);
    const bytes = readFileSync(join(folder, "down"));
    expectSameBytes(bytes, emulator.objectBytes("ours", name) ?? noise(1));
    expectSameBytes(await keyringOf("old").decrypt(bytes, { context: { object: name } }), noise(LONG));
    const theirs = gcsBlobs({ ...emulator.connection, bucket: "theirs" });
    expectSameBytes(await wholeOf(storeOf(theirs), "theirs/envelope"), noise(300_000));
    expect(await storeOf(theirs, keyringOf("new", "old")).rewrap("theirs/envelope")).toBe("rewrapped");
    expectSameBytes(await wholeOf(storeOf(theirs, keyringOf("new")), "theirs/envelope"), noise(300_000));
    // the client's copy by the service took the new header in the metadata with it
    expectSameBytes(await wholeOf(storeOf(theirs, keyringOf("new")), name), noise(LONG));
  });

  test("the same over HTTPS", async () => {
    await using emulator = await GcsEmulator.start({ https: true });
    writeFileSync(join(folder, "ca.pem"), emulator.ca);
    expect(await client(emulator, undefined)).toMatchObject(WHAT_IT_SAW);
  });
});

async function client(emulator: GcsEmulator, ours: string | undefined): Promise<unknown> {
  const { stdout } = await promisify(execFile)(process.execPath, [join(folder, "client.cjs")], {
    env: {
      ...(ours === undefined && { NODE_EXTRA_CA_CERTS: join(folder, "ca.pem") }),
      MODULES: modules,
      FOLDER: folder,
      URL: emulator.url,
      TOKEN: emulator.token,
      ...(ours !== undefined && { OURS: ours }),
    },
  });
  return JSON.parse(stdout);
}

const PROGRAM = `
const { join } = require("node:path");
const { readFileSync, writeFileSync } = require("node:fs");
const { MODULES, FOLDER, URL: apiEndpoint, TOKEN, OURS } = process.env;
const { Storage } = require(join(MODULES, "@google-cloud/storage"));
const { OAuth2Client } = require(join(MODULES, "google-auth-library"));
const authClient = new OAuth2Client();
authClient.setCredentials({ access_token: TOKEN });
const storage = new Storage({ apiEndpoint, projectId: "acme", authClient, universeDomain: "127.0.0.1", useAuthWithCustomEndpoint: true, retryOptions: { autoRetry: false } });
const refusal = async (work) => {
  try {
    await work();
    return "none";
  } catch (error) {
    return error.code;
  }
};
const long = readFileSync(join(FOLDER, "long"));

async function main() {
  const [bucket] = await storage.createBucket("theirs", { location: "EUROPE-WEST3", versioning: { enabled: false } });
  const [{ location }] = await bucket.getMetadata();
  const small = long.subarray(0, 100);
  const uploads = [
    ["theirs/0", small, { resumable: false, preconditionOpts: { ifGenerationMatch: 0 } }],
    ["theirs/1", long, { resumable: true, chunkSize: 262144 }],
    ["theirs/2", long, { resumable: true }],
    ["theirs/3", long.subarray(0, 524288), { resumable: true, chunkSize: 262144 }],
    ["ours2/empty", Buffer.alloc(0), { resumable: false }],
  ];
  const sizes = [], sameBytes = [];
  for (const [name, bytes, options] of uploads) {
    const file = bucket.file(name);
    await file.save(bytes, { validation: "crc32c", ...options });
    const [metadata] = await file.getMetadata();
    const [back] = await file.download({ validation: "crc32c" });
    sizes.push(Number(metadata.size));
    sameBytes.push(back.equals(bytes));
  }
  const first = bucket.file("theirs/0");
  const [{ generation }] = await first.getMetadata();
  const again = await refusal(() => first.save(small, { resumable: false, preconditionOpts: { ifGenerationMatch: 0 } }));
  const stale = await refusal(() => first.delete({ ifGenerationMatch: 1 }));
  const [range] = await bucket.file("theirs/1").download({ start: 1000, end: 1009 });
  const pages = [];
  let query = { prefix: "theirs/", maxResults: 2, autoPaginate: false };
  while (query) {
    const [files, next] = await bucket.getFiles(query);
    if (files.length > 0) pages.push(files.map(({ name }) => name));
    query = next && next.pageToken ? next : undefined;
  }
  const [, , listing] = await bucket.getFiles({ delimiter: "/", autoPaginate: false });
  await first.setMetadata({ metadata: { kept: "\\u00fc", changed: "2" } });
  const [{ metadata, metageneration }] = await first.getMetadata();
  const [composed] = await bucket.combine(["theirs/1", "theirs/0"], "composed");
  const [composedMetadata] = await composed.getMetadata();
  await bucket.setMetadata({ versioning: { enabled: true } });
  const file = bucket.file("versioned");
  for (const text of ["1", "2"]) await file.save(text, { resumable: false });
  const [versions] = await bucket.getFiles({ prefix: "versioned", versions: true });
  await file.setMetadata({ temporaryHold: true });
  const held = await refusal(() => file.delete());
  await file.setMetadata({ temporaryHold: false });
  await file.delete();
  let corrupted = false;
  await bucket.file("corrupted").save(small, { resumable: true, validation: false, metadata: { crc32c: "AAAAAA==" } }).catch(() => (corrupted = true));
  await bucket.file("theirs/envelope").save(readFileSync(join(FOLDER, "envelope")), { resumable: true, chunkSize: 262144 });
  if (OURS) {
    const ours = storage.bucket("ours").file(OURS);
    const [bytes] = await ours.download({ validation: "crc32c" });
    writeFileSync(join(FOLDER, "down"), bytes);
    await ours.copy(bucket.file(OURS));
  }
  console.log(JSON.stringify({
    location,
    sizes,
    sameBytes,
    generationOfCreate: /^\\d{16}$/.test(String(generation)),
    again,
    stale,
    range: [...range],
    pages,
    prefixes: listing.prefixes,
    metadata,
    metageneration: String(metageneration),
    composed: [Number(composedMetadata.size), composedMetadata.componentCount],
    versions: versions.length,
    held,
    corrupted,
    missing: await refusal(() => bucket.file("none").download()),
    deleted: await refusal(() => file.getMetadata()),
    exists: [(await first.exists())[0], (await bucket.file("none").exists())[0]],
  }));
}
main();
`;
