import { engine } from "#engine";
import { localKeyPair } from "../../providers/local/key-pair.ts";
import { localKey } from "../../providers/local/local-key.ts";
import { Keyring } from "../../src/core/keyring/keyring.ts";

// Runs in the browser: 64 MiB through the web streams, and files to and from Node, with keys as bytes and with keys that WebCrypto holds. The
// result stands in the document's title.

const MIB = 2 ** 20;
const BYTES = 64 * MIB;
const key = new Uint8Array(32).fill(9);
const keyring = new Keyring(localKey({ keyId: "browser", key }));
const context = { object: "exchange" };

document.title = await Promise.resolve()
  .then(run)
  .catch((error: unknown) => `failed: ${error}`);

async function run(): Promise<string> {
  const there = plaintext().pipeThrough(keyring.encryptStream({ context, plaintextBytes: BYTES }));
  if (!(await isPlaintext(there.pipeThrough(keyring.decryptStream({ context }))))) return "the round trip lost something";

  const held = new Keyring(localKey({ keyId: "browser", key: await crypto.subtle.importKey("raw", key, "AES-CBC", false, ["encrypt"]) }));
  const fromNode = await fetch("/from-node");
  if (fromNode.body === null || !(await isPlaintext(fromNode.body.pipeThrough(held.decryptStream({ context }))))) {
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

  if (!(await isHeldPairTheSame())) return "a key pair that WebCrypto holds is another than its bytes";
  const envelope = await new Response(plaintext().pipeThrough(held.encryptStream({ context }))).blob();
  const sent = await fetch("/from-browser", { method: "POST", body: envelope });
  return sent.ok ? `done with the ${engine.name} engine` : "Node could not open ours";
}

async function isHeldPairTheSame(): Promise<boolean> {
  const pair = await crypto.subtle.generateKey("X25519", true, ["deriveBits"]);
  if (!("privateKey" in pair)) return false;
  const jwk = await crypto.subtle.exportKey("jwk", pair.privateKey);
  const publicKey = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  const privateKey = await crypto.subtle.importKey("jwk", jwk, "X25519", false, ["deriveBits"]);
  const byBytes = new Keyring(localKeyPair({ keyId: "pair", publicKey: jwk, privateKey: jwk }));
  const held = new Keyring(localKeyPair({ keyId: "pair", publicKey, privateKey }));
  const [there, back] = [await held.decrypt(await byBytes.encrypt(key)), await byBytes.decrypt(await held.encrypt(key))];
  return [...there, ...back].every((byte) => byte === 9) && there.length + back.length === 64;
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
