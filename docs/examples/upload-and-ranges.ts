// An HTTP server that encrypts what is uploaded while it arrives, and serves byte ranges of it.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdtemp, open, rename, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { httpRangeHandler, Keyring } from "envelock";
import { encryptDuplex } from "envelock/node";
import { localKey } from "envelock/providers/local";

const folder = await mkdtemp(join(tmpdir(), "envelock-uploads-"));
const keyring = new Keyring(localKey({ keyId: "uploads-1", key: randomBytes(32) }));

const server = createServer(async (request, response) => {
  try {
    if (request.method === "PUT") await upload(request, response);
    else await download(request, response);
  } catch (error) {
    if (response.headersSent) response.destroy();
    else response.writeHead(500).end();
    console.error(error);
  }
});

/** The file gets its name when it is whole: an upload that breaks off leaves nothing that opens. */
async function upload(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const name = nameIn(request);
  const part = join(folder, `${name}.part`);
  await pipeline(request, encryptDuplex(keyring, { context: { object: name } }), createWriteStream(part));
  await rename(part, join(folder, `${name}.envelock`));
  response.writeHead(201).end();
}

/** Reads the header and the chunks that the range needs, and no more. */
async function download(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const name = nameIn(request);
  const file = await open(join(folder, `${name}.envelock`));
  try {
    const { size } = await file.stat();
    const read = async (start: number, end: number): Promise<Uint8Array> => {
      const { buffer, bytesRead } = await file.read(new Uint8Array(end - start), 0, end - start, start);
      return buffer.subarray(0, bytesRead);
    };
    const blob = await keyring.openSeekable({ size, read }, { context: { object: name } });
    const answer = await httpRangeHandler(blob)(new Request(`http://localhost/${name}`, { headers: rangeOf(request) }));
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    if (answer.body === null) response.end();
    else await pipeline(piecesOf(answer.body), response);
    blob.close();
  } finally {
    await file.close();
  }
}

async function* piecesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = stream.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    await reader.cancel(); // a client that left needs no more chunks
  }
}

/** A name of the server's own form: what a client writes must never choose a path. */
function nameIn({ url = "" }: IncomingMessage): string {
  const [, name] = /^\/([a-z0-9-]{1,40})$/.exec(url) ?? [];
  if (name === undefined) throw new Error("a name has letters, digits and hyphens");
  return name;
}

function rangeOf({ headers: { range } }: IncomingMessage): Record<string, string> {
  return range === undefined ? {} : { range };
}

await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const address = server.address();
const port = typeof address === "object" ? address?.port : undefined;
const url = `http://127.0.0.1:${port}/film-7`;
try {
  const film = randomBytes(5_000_000);
  assert.equal((await fetch(url, { method: "PUT", body: film })).status, 201);
  console.log("uploaded", film.length, "bytes");

  const answer = await fetch(url, { headers: { range: "bytes=2000000-2000099" } });
  assert.equal(answer.status, 206);
  assert.deepEqual(Buffer.from(await answer.arrayBuffer()), film.subarray(2_000_000, 2_000_100));
  console.log("a range:", answer.headers.get("content-range"));

  assert.deepEqual(Buffer.from(await (await fetch(url)).arrayBuffer()), film);
  console.log("the whole equals what was uploaded");
} finally {
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true });
}
