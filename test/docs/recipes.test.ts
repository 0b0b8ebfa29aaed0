import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { createServer, request as httpRequest, type RequestListener, type Server } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { HTTPException } from "hono/http-exception";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type BlobStore, type EncryptedStore, memoryBlobs } from "../../src/blobs/index.ts";
import { keyringOf, storeOf, wholeOf } from "../blobs/set-up.ts";
import { noise } from "../support/arbitraries.ts";
import { expectSameBytes } from "../support/bytes.ts";
import { installed } from "../support/npm-tools.ts";
import { originOf } from "../support/serving.ts";
import { blocksOf, ROOT, writeBlock } from "./code-blocks.ts";

// The code of the recipes for uploads, run, where it is for web frameworks on those.

const NAMES = ["store-uploads", "serve-ranges", "encrypt-an-upload", "browser-upload"];
const PAGES = NAMES.map((name) => `docs/recipes/${name}.md`);
const LIMIT = 300_000;
const servers: Server[] = [];
let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(ROOT, "test/docs/.blocks-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
  for (const server of servers) server.close();
});

let backing: BlobStore;
let store: EncryptedStore;
beforeEach(() => {
  backing = memoryBlobs();
  store = storeOf(backing);
});

/** What the block of a page exports that has this text in it. */
async function recipe(having: string) {
  const block = PAGES.flatMap(blocksOf).find(({ language, code }) => language === "ts" && code.join("\n").includes(having));
  if (block === undefined) throw new Error(`no recipe has ${having}`);
  return await import(writeBlock(folder, block));
}

function loaded(...packages: readonly [string, ...string[]]): NodeJS.Require {
  return createRequire(join(installed("foreign", packages), "..", "package.json"));
}

async function listening(server: Server): Promise<string> {
  servers.push(server);
  return await originOf(server);
}

async function namesIn(): Promise<readonly string[]> {
  return (await backing.list({ limit: 100 })).map(({ name }) => name);
}

function form(bytes: Uint8Array<ArrayBuffer>): FormData {
  const fields = new FormData();
  fields.set("kind", "invoice");
  fields.set("file", new File([bytes], "Übung 7.pdf", { type: "application/pdf" }));
  return fields;
}

/** Uploads by a form through a framework: a file within the limit, one beyond, one whose client breaks off; then plays a range back. */
function formCases(serve: () => Promise<{ readonly url: string; readonly failures: AsyncIterator<unknown> }>): void {
  test("a file is stored, and a range of it served", async () => {
    const { url } = await serve();
    const answer = await fetch(`${url}/files`, { method: "POST", body: form(noise(200_000)) });
    expect(answer.status).toBe(201);
    const [name = ""] = await namesIn();
    expect(await answer.text()).toContain(name);
    expectSameBytes(await wholeOf(store, name), noise(200_000));
    const blob = await store.get(name);
    expect(blob.description).toEqual({ name: "Übung 7.pdf", type: "application/pdf" });
    blob.close();
    const range = await fetch(`${url}/files/${name}`, { headers: { range: "bytes=100000-100009" } });
    expect([range.status, range.headers.get("content-type")]).toEqual([206, "application/pdf"]);
    expectSameBytes(new Uint8Array(await range.arrayBuffer()), noise(200_000).subarray(100_000, 100_010));
    expect((await fetch(`${url}/files/uploads/nothing`)).status).toBe(404);
  });

  test("a file over the limit leaves nothing", async () => {
    const { url } = await serve();
    const answer = await fetch(`${url}/files`, { method: "POST", body: form(noise(1_000_000)) });
    expect(answer.status).toBe(413);
    expect(await namesIn()).toEqual([]);
  });

  test("a client that breaks off leaves nothing", async () => {
    const { url, failures } = await serve();
    const sending = httpRequest(`${url}/files`, { method: "POST", headers: { "content-type": "multipart/form-data; boundary=b" } });
    sending.on("error", () => undefined);
    const head = 'content-disposition: form-data; name="file"; filename="a"\r\ncontent-type: text/plain';
    sending.write(`--b\r\n${head}\r\n\r\n`);
    sending.write(noise(100_000), () => sending.destroy());
    await failures.next();
    expect(await namesIn()).toEqual([]);
  });
}

/** A queue of what servers said of failed uploads. */
function queue(): { readonly add: (found: unknown) => void; readonly failures: AsyncIterator<unknown> } {
  const found = new Readable({ objectMode: true, read: () => undefined });
  return { add: (each) => found.push({ each }), failures: found[Symbol.asyncIterator]() };
}

describe("Express, with multer", () => {
  formCases(async () => {
    const [express, multer] = [loaded("express@5.3.0")("express"), loaded("multer@2.2.0")("multer")];
    const { storageOf } = await recipe("storageOf");
    const { answerWith } = await recipe("answerWith");
    const handle = (await recipe("downloads")).downloads(store);
    const { add, failures } = queue();
    const app = express();
    const parser = multer({ storage: storageOf(store), limits: { fileSize: LIMIT }, defParamCharset: "utf8" }).single("file");
    app.post("/files", parser, (request: { file: object }, response: Answering) => void response.status(201).json(request.file));
    app.get("/files/*name", (...call: Parameters<RequestListener>) => answerWith(handle, ...call));
    app.use((error: { code?: string }, _request: unknown, response: Answering, _next: unknown) => {
      add(error);
      response.status(error.code === "LIMIT_FILE_SIZE" ? 413 : 500).end();
    });
    return { url: await listening(createServer(app)), failures };
  });
});

interface Answering {
  status(code: number): Answering;
  json(body: object): void;
  end(): void;
}

describe("Fastify, with @fastify/multipart", () => {
  formCases(async () => {
    const load = loaded("fastify@5.12.8", "@fastify/multipart@10.1.9");
    const { keep } = await recipe("export async function keep");
    const { answerWith } = await recipe("answerWith");
    const handle = (await recipe("downloads")).downloads(store);
    const { add, failures } = queue();
    const fastify = load("fastify")();
    await fastify.register(load("@fastify/multipart"), { limits: { fileSize: LIMIT } });
    fastify.post("/files", async (request: { file(): Promise<object> }, reply: { code(status: number): { send(text: string): unknown } }) =>
      reply.code(201).send(await keep(store, await request.file())),
    );
    fastify.get("/files/*", (request: { raw: object }, reply: { raw: object; hijack(): void }) => {
      reply.hijack();
      return answerWith(handle, request.raw, reply.raw);
    });
    fastify.setErrorHandler((error: { detail?: string }, _request: unknown, reply: { code(status: number): { send(): unknown } }) => {
      add(error);
      return reply.code(error.detail === "source-truncated" ? 413 : 500).send();
    });
    await fastify.listen({ port: 0, host: "127.0.0.1" });
    return { url: await listening(fastify.server), failures };
  });
});

describe("Hono", () => {
  async function serve() {
    const { upload, uploadForm, downloads } = await recipe("export async function upload(");
    const { add, failures } = queue();
    const app = new Hono();
    app.post("/files", bodyLimit({ maxSize: LIMIT + 1000 }), ({ req }) => uploadForm(store, req.raw));
    app.put("/files", ({ req }) => upload(store, req.raw));
    const download = downloads(store);
    app.get("/files/*", ({ req }) => download(req.raw));
    app.onError((error) => {
      add(error);
      return error instanceof HTTPException ? error.getResponse() : new Response(null, { status: 500 });
    });
    return { url: await listening(createServer(getRequestListener(app.fetch))), failures };
  }

  formCases(serve);

  test("a body that is the file is stored, beyond the limit refused, and nothing is left of one that breaks off", async () => {
    const { url, failures } = await serve();
    const answer = await fetch(`${url}/files`, { method: "PUT", body: noise(1_000_000) });
    expect(answer.status).toBe(201);
    const { name } = await answer.json();
    expectSameBytes(await wholeOf(store, name), noise(1_000_000));
    expect((await fetch(`${url}/files`, { method: "PUT", body: new Uint8Array(50_000_001) })).status).toBe(413);
    const sending = httpRequest(`${url}/files`, { method: "PUT", headers: { "content-length": 200_000 } });
    sending.on("error", () => undefined);
    sending.write(noise(100_000), () => sending.destroy());
    await failures.next();
    expect(await namesIn()).toEqual([name]);
  });
});

describe("an upload in parts", () => {
  const WHOLE = Uint8Array.from(randomBytes(20_000_000));
  const NONE = new Uint8Array(0);

  test("goes on after a break with the parts that were sent, and opens", async () => {
    const { upload } = await recipe("save: (state: Uint8Array)");
    const [keyring, path] = [keyringOf("old"), join(folder, "in-parts")];
    await writeFile(path, WHOLE);
    const [parts, states]: [Map<number, Uint8Array>, Uint8Array[]] = [new Map(), []];
    let isBroken = true;
    const send = async (number: number, part: Uint8Array): Promise<void> => {
      if (isBroken && number === 2) throw new Error("the connection is gone");
      if (parts.has(number)) expectSameBytes(parts.get(number) ?? NONE, part); // the same bytes again
      parts.set(number, part);
    };
    const save = async (state: Uint8Array) => void states.push(state);
    await expect(upload(keyring, path, undefined, send, save)).rejects.toThrow("the connection is gone");
    isBroken = false;
    await upload(keyring, path, states[0], send, save);
    const envelope = Buffer.concat([...parts].sort(([a], [b]) => a - b).map(([, part]) => part));
    expectSameBytes(await keyring.decrypt(envelope, { context: { object: path } }), WHOLE);
  });

  test("of equal length opens", async () => {
    const { uploadEqualParts } = await recipe("uploadEqualParts");
    const [keyring, path] = [keyringOf("old"), join(folder, "equal-parts")];
    await writeFile(path, WHOLE);
    const parts: Uint8Array[] = [];
    await uploadEqualParts(keyring, path, async (_number: number, part: Uint8Array) => void parts.push(part));
    expect(parts.slice(0, -1).map(({ length }) => length)).toEqual([8 * 1024 * 1024, 8 * 1024 * 1024]);
    expectSameBytes(await keyring.decrypt(Buffer.concat(parts), { context: { object: path } }), WHOLE);
  });
});

test("a page encrypts a file before it sends it, and decrypts what it is given", async () => {
  const { send, receive } = await recipe("envelope.size !== length");
  const stored = new Map<string, Uint8Array>();
  const server = createServer(async (incoming, response) => {
    const path = incoming.url ?? "";
    if (incoming.method === "PUT") stored.set(path, await buffer(incoming));
    response.end(stored.get(path));
  });
  const keyring = keyringOf("old");
  const url = `${await listening(server)}/a`;
  await send(keyring, new File([noise(300_000)], "a.pdf"), url);
  expect(stored.get("/a")?.length).toBeGreaterThan(300_000);
  const received: Blob = await receive(keyring, url, "a.pdf");
  expectSameBytes(new Uint8Array(await received.arrayBuffer()), noise(300_000));
});

describe("tus, with @tus/server", () => {
  test("an encrypted file goes up in chunks, also after a break, and opens", async () => {
    const directory = mkdtempSync(join(tmpdir(), "envelock-tus-"));
    try {
      const load = loaded("@tus/server@2.4.5", "@tus/file-store@2.1.1");
      const { FileStore } = load("@tus/file-store");
      const tus = new (load("@tus/server").Server)({ path: "/files", datastore: new FileStore({ directory }) });
      let broken = 0;
      const server = createServer((incoming, response) => {
        if (incoming.method === "PATCH" && broken++ === 1) return void incoming.destroy(); // the second chunk's connection breaks
        tus.handle(incoming, response);
      });
      const url = await listening(server);
      const keyring = keyringOf("old");
      const { uploadOf } = await recipe("tusSource");
      const { reader, options } = await uploadOf(keyring, new File([noise(1_000_000)], "a"), "x");
      const { Upload } = loaded("tus-js-client@4.3.1")("tus-js-client");
      const done = new Promise<string>((resolve, reject) => {
        const more = { endpoint: `${url}/files`, chunkSize: 262_144, retryDelays: [0, 0, 0] };
        const upload = new Upload(Readable.from(piecesOf(reader), { objectMode: false }), {
          ...options,
          ...more,
          onSuccess: () => resolve(upload.url),
          onError: reject,
        });
        upload.start();
      });
      const stored = await readFile(join(directory, (await done).split("/").at(-1) ?? ""));
      expect(stored.length).toBe(options.uploadSize);
      expect(broken).toBeGreaterThan(4);
      expectSameBytes(await keyring.decrypt(stored, { context: { object: "x" } }), noise(1_000_000));
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

/** The client takes a reader in browsers, and on Node a stream. */
async function* piecesOf(reader: ReadableStreamDefaultReader<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}
