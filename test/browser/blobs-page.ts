import { localKey } from "../../providers/local/local-key.ts";
import { azureBlobs } from "../../src/blobs/azure/index.ts";
import { type BlobProgress, type BlobStore, encryptedStore } from "../../src/blobs/index.ts";
import { s3Blobs } from "../../src/blobs/s3/index.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";

// Runs in the browser: uploads a film by parts and without any SDK, to Azurite with a SAS or to S3 with URLs that the server signs. Then it
// plays a range back, through the handler here and through that of a server. The result stands in the document's title.

const MIB = 2 ** 20;

document.title = await Promise.resolve()
  .then(run)
  .catch((error: unknown) => `failed: ${error}`);

async function run(): Promise<string> {
  const { container, mebibytes } = await (await fetch("/place")).json();
  const keyring = new Keyring(localKey({ keyId: "browser", key: new Uint8Array(32).fill(9) }));
  const store = encryptedStore(keyring, placeOf(container), { context: (name) => ({ object: name }) });
  const progress: BlobProgress[] = [];
  const put = await store.put("film.mp4", film(mebibytes), {
    expectedBytes: mebibytes * MIB,
    describe: { name: "Film.mp4", type: "video/mp4" },
    onProgress: (event) => progress.push(event),
  });
  if (progress.at(-1)?.bytes !== put.storedBytes) return `progress ended at ${progress.at(-1)?.bytes} of ${put.storedBytes}`;
  const handle = store.httpHandler({ name: () => "film.mp4" });
  const middle = Math.floor(mebibytes / 2);
  const headers = { range: `bytes=${middle * MIB}-${(middle + 1) * MIB + 3}` };
  for (const answer of [await handle(new Request("/film", { headers })), await fetch("/film", { headers })]) {
    if (answer.status !== 206 || answer.headers.get("content-type") !== "video/mp4") return `answered ${answer.status}`;
    const view = new DataView(await answer.arrayBuffer());
    if (view.byteLength !== MIB + 4 || view.getUint32(0) !== middle || view.getUint32(MIB) !== middle + 1) return "the range is another";
  }
  return "done";
}

function placeOf(container: { readonly url: string; readonly sas: string } | undefined): BlobStore {
  if (container !== undefined) return azureBlobs(container);
  const presign = async (request: object): Promise<string> =>
    await (await fetch("/presign", { method: "POST", body: JSON.stringify(request) })).text();
  return s3Blobs({ presign }, { mode: "aws" });
}

/** Every MiB carries its number. */
function film(mebibytes: number): ReadableStream<Uint8Array> {
  let number = 0;
  return new ReadableStream({
    pull(controller) {
      if (number === mebibytes) return controller.close();
      const piece = new Uint8Array(MIB);
      new DataView(piece.buffer).setUint32(0, number++);
      controller.enqueue(piece);
    },
  });
}
