import { engine } from "#engine";
import { localKey } from "../../providers/local/local-key.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";

// Runs in the browser: 64 MiB through the web streams, and files to and from Node. The result stands in the document's title.

const MIB = 2 ** 20;
const BYTES = 64 * MIB;
const keyring = new Keyring(localKey({ keyId: "browser", key: new Uint8Array(32).fill(9) }));
const context = { object: "exchange" };

document.title = await Promise.resolve()
  .then(run)
  .catch((error: unknown) => `failed: ${error}`);

async function run(): Promise<string> {
  const there = plaintext().pipeThrough(keyring.encryptStream({ context, plaintextBytes: BYTES }));
  if (!(await isPlaintext(there.pipeThrough(keyring.decryptStream({ context }))))) return "the round trip lost something";

  const fromNode = await fetch("/from-node");
  if (fromNode.body === null || !(await isPlaintext(fromNode.body.pipeThrough(keyring.decryptStream({ context }))))) {
    return "Node's envelope did not open";
  }

  const changed = new Uint8Array(await (await fetch("/from-node")).arrayBuffer());
  changed[changed.length - 1] = (changed[changed.length - 1] ?? 0) ^ 1;
  const opening = new Blob([changed]).stream().pipeThrough(keyring.decryptStream({ context }));
  const refused = await opening.pipeTo(new WritableStream()).then(
    () => "opened",
    (error: unknown) => `${error}`,
  );
  if (!refused.includes("the data was changed")) return `a changed envelope: ${refused}`;

  const envelope = await new Response(plaintext().pipeThrough(keyring.encryptStream({ context }))).blob();
  const sent = await fetch("/from-browser", { method: "POST", body: envelope });
  return sent.ok ? `done with the ${engine.name} engine` : "Node could not open ours";
}

/** Every MiB carries its number. */
function plaintext(): ReadableStream<Uint8Array> {
  let number = 0;
  return new ReadableStream({
    pull(controller) {
      if (number * MIB === BYTES) return controller.close();
      const piece = new Uint8Array(MIB);
      new DataView(piece.buffer).setUint32(0, number++);
      controller.enqueue(piece);
    },
  });
}

async function isPlaintext(stream: ReadableStream<Uint8Array>): Promise<boolean> {
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const view = new DataView(bytes.buffer);
  for (let number = 0; number * MIB < BYTES; number++) if (view.getUint32(number * MIB) !== number) return false;
  return bytes.length === BYTES;
}
