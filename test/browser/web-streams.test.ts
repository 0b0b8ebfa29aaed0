import { once } from "node:events";
import { createServer } from "node:http";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { rolldown } from "rolldown";
import { expect, test } from "vitest";
import { localKey } from "../../providers/local/local-key.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { decryptDuplex, encryptDuplex } from "../../src/node/index.ts";
import { fileOfPackages } from "../support/debian-packages.ts";

const MIB = 2 ** 20;
const MEBIBYTES = 64;
const keyring = new Keyring(localKey({ keyId: "browser", key: new Uint8Array(32).fill(9) }));
const context = { object: "exchange" };

test("64 MiB through a browser's web streams, to Node and back", { timeout: 300_000 }, async () => {
  const executablePath = fileOfPackages(BROWSERS, ["chromium"]);
  const script = await bundled();
  let received = 0;
  let isIntact = true;
  const server = createServer(async (request, response) => {
    if (request.url === "/from-node") {
      pieces().pipe(encryptDuplex(keyring, { context })).pipe(response);
    } else if (request.url === "/from-browser") {
      for await (const batch of request.pipe(decryptDuplex(keyring, { context }))) {
        for (let at = (MIB - (received % MIB)) % MIB; at < batch.length; at += MIB) {
          if (batch.readUInt32BE(at) !== (received + at) / MIB) isIntact = false;
        }
        received += batch.length;
      }
      response.end();
    } else if (request.url === "/page.js") {
      response.setHeader("content-type", "text/javascript").end(script);
    } else {
      response.setHeader("content-type", "text/html").end('<title>working</title><script type="module" src="/page.js"></script>');
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const running = await chromium.launch({ executablePath, args: ARGUMENTS });
  try {
    const page = await running.newPage();
    const broken = new Promise<never>((_, reject) => page.on("pageerror", reject));
    await page.goto(`http://127.0.0.1:${port}/`);
    await Promise.race([broken, page.waitForFunction("document.title !== 'working'", undefined, { timeout: 240_000 })]);
    expect(await page.title()).toBe("done with the portable engine");
  } finally {
    await running.close();
    server.close();
  }
  expect([received, isIntact]).toEqual([MEBIBYTES * MIB, true]);
});

/** What a browser loads: the portable engine, by the package's own import map. */
async function bundled(): Promise<string> {
  const bundle = await rolldown({
    input: fileURLToPath(new URL("page.ts", import.meta.url)),
    platform: "browser",
    tsconfig: false, // its paths lead to the engine of Node
    resolve: { conditionNames: ["browser", "import", "default"] },
  });
  const { output } = await bundle.generate({ format: "es", codeSplitting: false });
  await bundle.close();
  return output[0].code;
}

function pieces(): Readable {
  return Readable.from(
    (function* () {
      for (let number = 0; number < MEBIBYTES; number++) {
        const piece = Buffer.alloc(MIB);
        piece.writeUInt32BE(number);
        yield piece;
      }
    })(),
    { objectMode: false },
  );
}

const BROWSERS: readonly string[] = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const ARGUMENTS: string[] = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
