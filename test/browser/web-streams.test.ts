import { createServer } from "node:http";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { localKey } from "../../providers/local/local-key.ts";
import { DataKey } from "../../src/core/data-key/data-key.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";
import { decryptDuplex, encryptDuplex } from "../../src/node/index.ts";
import { bundled, finalTitleOf, WORKING_PAGE } from "../support/browser.ts";
import { originOf } from "../support/serving.ts";

const MIB = 2 ** 20;
const MEBIBYTES = 64;
const keyring = new Keyring(localKey({ keyId: "browser", key: new Uint8Array(32).fill(9) }));
const context = { object: "exchange" };

test("tokens and envelopes under a policy that allows WebAssembly, and under one that does not", { timeout: 300_000 }, async () => {
  const script = await bundled(fileURLToPath(new URL("policy-page.ts", import.meta.url)));
  const key = new Uint8Array(32).fill(9);
  const token = Buffer.from(DataKey.from(key, context).encryptToken(key)).toString("base64url");
  const envelope = await keyring.encrypt(key, { context });
  const policies: Readonly<Record<string, string>> = { "/with": "script-src 'self' 'wasm-unsafe-eval'", "/without": "script-src 'self'" };
  const server = createServer(({ url = "" }, response) => {
    const policy = policies[url];
    if (url === "/token") response.end(token);
    else if (url === "/envelope") response.end(envelope);
    else if (policy === undefined) response.setHeader("content-type", "text/javascript").end(script);
    else response.setHeader("content-type", "text/html").setHeader("content-security-policy", policy).end(WORKING_PAGE);
  });
  try {
    const origin = await originOf(server);
    expect(await finalTitleOf(`${origin}/with`)).toBe("opened; the module works");
    expect(await finalTitleOf(`${origin}/without`)).toMatch(/^opened; .*Content Security Policy/);
  } finally {
    server.close();
  }
});

test("64 MiB through a browser's web streams, to Node and back", { timeout: 300_000 }, async () => {
  const script = await bundled(fileURLToPath(new URL("page.ts", import.meta.url)));
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
      response.setHeader("content-type", "text/html").end(WORKING_PAGE);
    }
  });
  try {
    expect(await finalTitleOf(`${await originOf(server)}/`)).toBe("done with the portable engine");
  } finally {
    server.close();
  }
  expect([received, isIntact]).toEqual([MEBIBYTES * MIB, true]);
});

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
