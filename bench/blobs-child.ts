import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Keyring } from "envelock";
import { encryptedStore } from "envelock/blobs";
import { azureBlobs } from "envelock/blobs/azure";
import { localKey } from "envelock/providers/local";
import { storageBlobSdk } from "../test/support/azurite.ts";
import { generated } from "./runs.ts";
import { CountingSink, piecesOf, timedTransfer } from "./transfers.ts";

// One transfer to or from Azurite: `plain`, `client` or `fetch`. The last two also with `-bare` and `-lanes`, which leave out the MD5 of
// blocks; `-bare` downloads into memory that is used again, `-lanes` opens chunks on two threads.

const BLOCK_BYTES = 8 * 1024 * 1024;
const MEMORY_BYTES = 1024 * 1024;

const [, , , way = "", container = ""] = process.argv;
const sdk = storageBlobSdk();
const client = new sdk.ContainerClient(container);
const keyring = new Keyring(localKey({ keyId: "bench", key: new Uint8Array(32).fill(7) }));
const [url = "", sas = ""] = container.split("?");
const store = encryptedStore(
  keyring,
  azureBlobs(way.startsWith("fetch") ? { url, sas } : client, { blockDigest: way.includes("-") ? "none" : "md5" }),
  { context: (blob) => ({ object: blob }) },
);

await timedTransfer(async (direction, length, blob) => {
  if (direction === "up") {
    if (way === "plain") await client.getBlockBlobClient(blob).uploadStream(generated(length), BLOCK_BYTES, 4);
    else await store.put(blob, generated(length), { replace: true });
    return;
  }
  const sink = new CountingSink();
  if (way === "plain") {
    const { readableStreamBody } = await client.getBlockBlobClient(blob).download();
    await pipeline(readableStreamBody, sink);
  } else {
    const opened = await store.get(blob);
    if (way.endsWith("-bare")) await readInto(opened.stream(), sink);
    else await pipeline(Readable.from(piecesOf(opened.stream(0, length, way.endsWith("-lanes") ? { lanes: 2 } : {}))), sink);
    opened.close();
  }
  if (sink.taken !== length) throw new Error(`${way} gave ${sink.taken} of ${length} bytes`);
});

/** Reads into one array, which is used again once the sink has taken what is in it. */
async function readInto(stream: ReadableStream<Uint8Array>, sink: CountingSink): Promise<void> {
  const reader = stream.getReader({ mode: "byob" });
  let memory = new Uint8Array(MEMORY_BYTES);
  for (;;) {
    const { done, value } = await reader.read(memory);
    if (done) return;
    await new Promise<void>((resolve, reject) => sink.write(value, (error) => (error ? reject(error) : resolve())));
    memory = new Uint8Array(value.buffer);
  }
}
