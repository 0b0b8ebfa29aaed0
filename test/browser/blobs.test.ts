import { once } from "node:events";
import { createServer, type RequestListener, request, type Server } from "node:http";
import { buffer, text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { localKey } from "../../providers/local/local-key.ts";
import { azureBlobs } from "../../src/blobs/azure/index.ts";
import { type BlobStore, type EncryptedStore, encryptedStore } from "../../src/blobs/index.ts";
import { s3Blobs, s3Presigner } from "../../src/blobs/s3/index.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { S3Emulator } from "../../src/testing/s3/index.ts";
import { startAzurite } from "../support/azurite.ts";
import { bundled, finalTitleOf, WORKING_PAGE } from "../support/browser.ts";
import { originOf } from "../support/serving.ts";

const { ENVELOCK_BROWSER_MEBIBYTES = "12" } = process.env;
const servers: Server[] = [];
let script = "";
beforeAll(async () => {
  script = await bundled(fileURLToPath(new URL("blobs-page.ts", import.meta.url)));
});
afterAll(() => {
  for (const server of servers) server.close();
});

test("a browser uploads 64 MiB by parts to Azure with a SAS, and plays a range back", { timeout: 300_000 }, async () => {
  const azurite = await startAzurite();
  try {
    await azurite.allowBrowsers();
    const name = await azurite.createContainer();
    const container = { url: `${azurite.url}/${name}`, sas: azurite.sas(name) };
    const store = storeOf(azureBlobs(container));
    expect(await titleOfPage(store, { container, mebibytes: 64 })).toBe("done");
    expect(await store.verify("film.mp4", "all")).toMatchObject({ plaintextBytes: 64 * 2 ** 20 });
  } finally {
    await azurite.close();
  }
});

test("a browser uploads by parts to S3 with URLs that a server signs, and plays a range back", { timeout: 300_000 }, async () => {
  await using emulator = await S3Emulator.start();
  emulator.createBucket("films");
  const mebibytes = Number(ENVELOCK_BROWSER_MEBIBYTES);
  const bucket = { url: `${await crossOrigin(emulator.url)}/films`, region: emulator.connection.region, credentials: emulator.credentials };
  const asked: string[] = [];
  const presign = s3Presigner({
    ...bucket,
    allow(operation, name) {
      asked.push(operation);
      return name === "film.mp4" && operation !== "delete";
    },
  });
  const store = storeOf(s3Blobs(bucket, { mode: "aws" }));
  expect(await titleOfPage(store, { mebibytes }, presign)).toBe("done");
  expect(await store.verify("film.mp4", "all")).toMatchObject({ plaintextBytes: mebibytes * 2 ** 20 });
  expect(new Set(asked)).toEqual(new Set(["write", "read"]));
  const parts = emulator.takeRequests().filter(({ path }) => /UploadPart \d+$/.test(path));
  expect(parts.length).toBe(Math.ceil(mebibytes / 8));
});

function storeOf(place: BlobStore): EncryptedStore {
  const keyring = new Keyring(localKey({ keyId: "browser", key: new Uint8Array(32).fill(9) }));
  return encryptedStore(keyring, place, { context: (name) => ({ object: name }) });
}

async function serving(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  return await originOf(server);
}

/** Serves the page that uploads, the film, and signatures; and opens the page. */
async function titleOfPage(store: EncryptedStore, place: object, presign?: ReturnType<typeof s3Presigner>): Promise<string> {
  const handle = store.httpHandler({ name: () => "film.mp4" });
  const url = await serving(async (incoming, response) => {
    const { url, headers } = incoming;
    if (url === "/place") response.setHeader("content-type", "application/json").end(JSON.stringify(place));
    else if (url === "/presign") response.end(await presign?.(JSON.parse(await text(incoming))));
    else if (url === "/film") {
      const answer = await handle(
        new Request("http://127.0.0.1/film", headers.range === undefined ? {} : { headers: { range: headers.range } }),
      );
      response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(new Uint8Array(await answer.arrayBuffer()));
    } else if (url === "/page.js") response.setHeader("content-type", "text/javascript").end(script);
    else response.setHeader("content-type", "text/html").end(WORKING_PAGE);
  });
  return await finalTitleOf(`${url}/`);
}

/** Lets pages of another origin use a service, as the CORS rules of a bucket do: the emulator has none. */
async function crossOrigin(service: string): Promise<string> {
  const allowed = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET, HEAD, PUT, POST, DELETE",
    "access-control-allow-headers": "*",
    "access-control-expose-headers": "etag, content-range, x-amz-meta-envelock, x-amz-meta-envelock-keys, x-amz-meta-envelock-about",
  };
  return await serving(async (incoming, response) => {
    if (incoming.method === "OPTIONS") return response.writeHead(204, allowed).end();
    const { method = "GET", headers, url = "/" } = incoming;
    const forwarded = request(`${service}${url}`, { method, headers }); // with the host that was signed
    forwarded.end(await buffer(incoming));
    const [answer] = await once(forwarded, "response");
    response.writeHead(answer.statusCode, { ...answer.headers, ...allowed });
    answer.pipe(response);
  });
}
