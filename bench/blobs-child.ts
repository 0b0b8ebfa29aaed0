import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Keyring } from "envelock";
import { encryptedStore } from "envelock/blobs";
import { azureBlobs } from "envelock/blobs/azure";
import { localKey } from "envelock/providers/local";
import { storageBlobSdk } from "../test/support/azurite.ts";

// One transfer to or from Azurite in a process of its own: `up` or `down`, `plain`, `client`, `fetch` (each also with
// `-bare`: no MD5 of blocks) or `idle`.

const PIECE_BYTES = 65_536;
const BLOCK_BYTES = 8 * 1024 * 1024;

const [, , direction = "", way = "", container = "", name = "", bytes = "0"] = process.argv;
const sdk = storageBlobSdk();
const client = new sdk.ContainerClient(container);
const keyring = new Keyring(localKey({ keyId: "bench", key: new Uint8Array(32).fill(7) }));
const [url = "", sas = ""] = container.split("?");
const store = encryptedStore(
  keyring,
  azureBlobs(way.startsWith("fetch") ? { url, sas } : client, { blockDigest: way.endsWith("-bare") ? "none" : "md5" }),
  { context: (blob) => ({ object: blob }) },
);

if (way !== "idle") await transfer(direction, 1_000_000, `${name}-warm`);
const cpu = process.cpuUsage();
const start = performance.now();
if (way !== "idle") await transfer(direction, Number(bytes), name);
const { user, system } = process.cpuUsage(cpu);
const rssBytes = process.resourceUsage().maxRSS * 1024;
console.log(JSON.stringify({ seconds: (performance.now() - start) / 1000, cpuSeconds: (user + system) / 1e6, rssBytes }));

async function transfer(to: string, length: number, blob: string): Promise<void> {
  if (to === "up") {
    if (way === "plain") await client.getBlockBlobClient(blob).uploadStream(generated(length), BLOCK_BYTES, 4);
    else await store.put(blob, generated(length), { replace: true });
    return;
  }
  let taken = 0;
  const sink = new Writable({
    highWaterMark: 2 ** 20,
    write(piece, _encoding, done) {
      taken += piece.length;
      done();
    },
  });
  if (way === "plain") {
    const { readableStreamBody } = await client.getBlockBlobClient(blob).download();
    await pipeline(readableStreamBody, sink);
  } else {
    const opened = await store.get(blob);
    await pipeline(Readable.from(piecesOf(opened.stream())), sink);
    opened.close();
  }
  if (taken !== length) throw new Error(`${way} gave ${taken} of ${length} bytes`);
}

async function* piecesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

/** The same pieces for everybody. */
function generated(length: number): Readable {
  const piece = Buffer.alloc(PIECE_BYTES, "envelock");
  let left = length;
  return new Readable({
    highWaterMark: PIECE_BYTES,
    read() {
      const next = Math.min(left, PIECE_BYTES);
      left -= next;
      this.push(next === 0 ? null : piece.subarray(0, next));
    },
  });
}
