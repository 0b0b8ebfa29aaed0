import { localKey } from "../../providers/local/local-key.ts";
import { engineInfo } from "../../src/core/crypto/engine-info.ts";
import { DataKey } from "../../src/core/data-key/data-key.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";

// Runs in the browser under a Content-Security-Policy: opens what Node made, and what it makes itself. The result stands in the document's
// title.

const key = new Uint8Array(32).fill(9);
const context = { object: "exchange" };

document.title = await Promise.resolve()
  .then(run)
  .catch((error: unknown) => `failed: ${error}`);

async function run(): Promise<string> {
  const dataKey = DataKey.from(key, context);
  const keyring = new Keyring(localKey({ keyId: "browser", key }));
  const token = await (await fetch("/token")).text();
  const envelope = new Uint8Array(await (await fetch("/envelope")).arrayBuffer());
  const opened = [
    dataKey.decryptToken(token),
    dataKey.decryptToken(dataKey.encryptToken(key)),
    await keyring.decrypt(envelope, { context }),
    await keyring.decrypt(await keyring.encrypt(key, { context }), { context }),
  ];
  if (opened.some((bytes) => bytes.join() !== key.join())) return "another plaintext";
  return `opened; ${engineInfo().without?.message ?? "the module works"}`;
}
