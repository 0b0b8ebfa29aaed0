import { once } from "node:events";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { localKey } from "../../providers/local/local-key.ts";
import { azureBlobs } from "../../src/blobs/azure/index.ts";
import { encryptedStore } from "../../src/blobs/index.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { startAzurite } from "../support/azurite.ts";
import { bundled, finalTitleOf, WORKING_PAGE } from "../support/browser.ts";

test("a browser uploads 64 MiB by parts with a SAS, and plays a range back", { timeout: 300_000 }, async () => {
  const azurite = await startAzurite();
  await azurite.allowBrowsers();
  const name = await azurite.createContainer();
  const container = { url: `${azurite.url}/${name}`, sas: azurite.sas(name) };
  const script = await bundled(fileURLToPath(new URL("blobs-page.ts", import.meta.url)));
  const keyring = new Keyring(localKey({ keyId: "browser", key: new Uint8Array(32).fill(9) }));
  const store = encryptedStore(keyring, azureBlobs(container), { context: (blob) => ({ object: blob }) });
  const handle = store.httpHandler({ name: () => "film.mp4" });
  const server = createServer(async ({ url, headers: { range } }, response) => {
    if (url === "/container") response.setHeader("content-type", "application/json").end(JSON.stringify(container));
    else if (url === "/film") {
      const answer = await handle(new Request("http://127.0.0.1/film", range === undefined ? {} : { headers: { range } }));
      response.writeHead(answer.status, Object.fromEntries(answer.headers)).end(new Uint8Array(await answer.arrayBuffer()));
    } else if (url === "/page.js") response.setHeader("content-type", "text/javascript").end(script);
    else response.setHeader("content-type", "text/html").end(WORKING_PAGE);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  try {
    expect(await finalTitleOf(`http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/`)).toBe("done");
    expect(await store.verify("film.mp4", "all")).toMatchObject({ plaintextBytes: 64 * 2 ** 20 });
  } finally {
    server.close();
    await azurite.close();
  }
});
