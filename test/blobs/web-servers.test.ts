import { createServer, type RequestListener, request, type Server } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterEach, describe, expect, test } from "vitest";
import { memoryBlobs, multerStorage, tusSource } from "../../src/blobs/index.ts";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { noise } from "../support/arbitraries.ts";
import { expectSameBytes } from "../support/bytes.ts";
import { installed } from "../support/npm-tools.ts";
import { originOf } from "../support/serving.ts";
import { keyringOf, storeOf, wholeOf } from "./set-up.ts";

// Parsers and protocols that others wrote, as servers use them.

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function serving(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  return await originOf(server);
}

function formOf(bytes: Uint8Array<ArrayBuffer>, name = "résumé.pdf"): FormData {
  const form = new FormData();
  form.set("file", new File([bytes], name, { type: "application/pdf" }));
  return form;
}

describe("busboy", () => {
  const load = createRequire(join(installed("foreign", ["busboy@1.6.0"]), "..", "package.json"));
  const busboy = load("busboy");

  test("a file over the parser's limit is not stored, and one within is", async () => {
    const backing = memoryBlobs();
    const store = storeOf(backing);
    const url = await serving((incoming, response) => {
      const parser = busboy({ headers: incoming.headers, limits: { fileSize: 300_000 }, defParamCharset: "utf8" });
      parser.on("file", (_field: string, file: AsyncIterable<Uint8Array>) => {
        store.put("x", file).then(
          () => response.writeHead(201).end(),
          (error: unknown) => response.writeHead(413).end(EnvelockError.is(error) ? error.detail : ""),
        );
      });
      incoming.pipe(parser);
    });
    const refused = await fetch(url, { method: "POST", body: formOf(noise(1_000_000)) });
    expect([refused.status, await refused.text()]).toEqual([413, "source-truncated"]);
    expect(await backing.open("x", 1)).toBeUndefined();
    expect((await fetch(url, { method: "POST", body: formOf(noise(300_000 - 1)) })).status).toBe(201);
    expectSameBytes(await wholeOf(store, "x"), noise(300_000 - 1));
  });
});

describe("multer", () => {
  const load = createRequire(join(installed("foreign", ["multer@2.2.0"]), "..", "package.json"));
  const multer = load("multer");

  async function multerServer(backing = memoryBlobs()) {
    const store = storeOf(backing);
    const outcomes: unknown[] = [];
    const storage = multerStorage(store, { name: () => "x" });
    const upload = multer({ storage, limits: { fileSize: 300_000 }, defParamCharset: "utf8" }).single("file");
    const done = { resolve: (): void => undefined };
    const finished = new Promise<void>((resolve) => {
      done.resolve = resolve;
    });
    const url = await serving((incoming, response) => {
      upload(incoming, response, (error: unknown) => {
        outcomes.push(error ?? Reflect.get(incoming, "file"));
        response.writeHead(error === undefined ? 201 : 413).end();
        done.resolve();
      });
    });
    return { store, backing, outcomes, url, finished };
  }

  test("stores a file, with what the client says of it encrypted", async () => {
    const { store, outcomes, url } = await multerServer();
    expect((await fetch(url, { method: "POST", body: formOf(noise(200_000)) })).status).toBe(201);
    expect(outcomes[0]).toMatchObject({ blobName: "x", size: 200_000, etag: expect.any(String) });
    expectSameBytes(await wholeOf(store, "x"), noise(200_000));
    expect((await store.get("x")).description).toEqual({ name: "résumé.pdf", type: "application/pdf" });
  });

  test("stores no file over the limit", async () => {
    const { backing, outcomes, url } = await multerServer();
    expect((await fetch(url, { method: "POST", body: formOf(noise(1_000_000)) })).status).toBe(413);
    expect(outcomes.length).toBe(1);
    expect(await backing.open("x", 1)).toBeUndefined();
  });

  test("stores no file whose client breaks off", async () => {
    const { backing, url, finished } = await multerServer();
    const sending = request(url, { method: "POST", headers: { "content-type": "multipart/form-data; boundary=b" } });
    sending.on("error", () => undefined);
    sending.write('--b\r\ncontent-disposition: form-data; name="file"; filename="a"\r\ncontent-type: text/plain\r\n\r\nbeginning');
    sending.write(noise(100_000));
    setTimeout(() => sending.destroy(), 50);
    await finished;
    expect(await backing.open("x", 1)).toBeUndefined();
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

describe("tus", () => {
  test("an encrypted reader uploads in chunks, and opens", async () => {
    const load = createRequire(join(installed("foreign", ["tus-js-client@4.3.1"]), "..", "package.json"));
    const { Upload } = load("tus-js-client");
    const received: Buffer[] = [];
    const url = await serving(async (incoming, response) => {
      const headers = { "tus-resumable": "1.0.0", location: "/files/1" };
      if (incoming.method === "POST") return response.writeHead(201, headers).end();
      for await (const piece of incoming) received.push(piece);
      const offset = received.reduce((sum, piece) => sum + piece.length, 0);
      response.writeHead(204, { ...headers, "upload-offset": `${offset}` }).end();
    });
    const keyring = keyringOf("old");
    const { reader, uploadSize } = await tusSource(keyring, new Blob([noise(1_000_000)]), { context: { object: "x" } });
    await new Promise<void>((resolve, reject) => {
      const options = { endpoint: `${url}/files`, uploadSize, chunkSize: 262_144, retryDelays: null };
      new Upload(Readable.from(piecesOf(reader)), { ...options, onSuccess: () => resolve(), onError: reject }).start();
    });
    const envelope = Buffer.concat(received);
    expect(envelope.length).toBe(uploadSize);
    expectSameBytes(await keyring.decrypt(envelope, { context: { object: "x" } }), noise(1_000_000));
  });
});
