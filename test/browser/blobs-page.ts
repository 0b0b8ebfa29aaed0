import { localKey } from "../../providers/local/local-key.ts";
import { azureBlobs } from "../../src/blobs/azure/index.ts";
import { type BlobProgress, encryptedStore } from "../../src/blobs/index.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";

// Runs in the browser: uploads 64 MiB to Azurite by parts with a SAS and without any SDK, then plays a range back, through the handler here
// and through that of a server. The result stands in the document's title.

const MIB = 2 ** 20;
const MEBIBYTES = 64;

document.title = await Promise.resolve()
  .then(run)
  .catch((error: unknown) => `failed: ${error}`);

async function run(): Promise<string> {
  const { url, sas } = await (await fetch("/container")).json();
  const keyring = new Keyring(localKey({ keyId: "browser", key: new Uint8Array(32).fill(9) }));
  const store = encryptedStore(keyring, azureBlobs({ url, sas }), { context: (name) => ({ object: name }) });
  const progress: BlobProgress[] = [];
  const put = await store.put("film.mp4", film(), {
    expectedBytes: MEBIBYTES * MIB,
    describe: { name: "Film.mp4", type: "video/mp4" },
    onProgress: (event) => progress.push(event),
  });
  if (progress.at(-1)?.bytes !== put.storedBytes) return `progress ended at ${progress.at(-1)?.bytes} of ${put.storedBytes}`;
  const handle = store.httpHandler({ name: () => "film.mp4" });
  const headers = { range: `bytes=${40 * MIB}-${41 * MIB + 3}` };
  for (const answer of [await handle(new Request("/film", { headers })), await fetch("/film", { headers })]) {
    if (answer.status !== 206 || answer.headers.get("content-type") !== "video/mp4") return `answered ${answer.status}`;
    const view = new DataView(await answer.arrayBuffer());
    if (view.byteLength !== MIB + 4 || view.getUint32(0) !== 40 || view.getUint32(MIB) !== 41) return "the range is another";
  }
  return "done";
}

/** Every MiB carries its number. */
function film(): ReadableStream<Uint8Array> {
  let number = 0;
  return new ReadableStream({
    pull(controller) {
      if (number === MEBIBYTES) return controller.close();
      const piece = new Uint8Array(MIB);
      new DataView(piece.buffer).setUint32(0, number++);
      controller.enqueue(piece);
    },
  });
}
