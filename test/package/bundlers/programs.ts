/** Uses the core and the local provider by every form of data, and returns what it saw as text. Runs anywhere, without Node. */
export const ROUND_TRIP = `
import { EnvelockError, inspect, Keyring } from "envelock";
import { DataKeys, memoryStore } from "envelock/fields";
import { formatKeyset, generateKeysetKey, keysetProviders, localKey, parseKeyset } from "envelock/providers/local";

export async function roundTrip() {
  const context = { object: "invoices/7" };
  const keyring = new Keyring({ wrapWith: [localKey({ keyId: "orders", key: new Uint8Array(32).fill(7) })] });
  const envelope = await keyring.encrypt(new TextEncoder().encode("net 30 days"), { context });
  const text = new TextDecoder().decode(await keyring.decrypt(envelope, { context }));
  const refused = await keyring.decrypt(envelope).then(() => "nothing", (error) => (error instanceof EnvelockError ? error.code : String(error)));

  const stream = new Blob([new Uint8Array(3_000_000)]).stream().pipeThrough(keyring.encryptStream({ context, lanes: "auto" }));
  const streamed = await new Response(stream.pipeThrough(keyring.decryptStream({ context }))).arrayBuffer();

  const pair = await generateKeysetKey({ type: "x25519", keyId: "pair", created: "2026-11-21T09:30:00Z" });
  const [provider] = keysetProviders(parseKeyset(formatKeyset({ primary: "pair", keys: [pair] })));
  const pairs = new Keyring({ wrapWith: [provider] });
  const opened = await pairs.decrypt(await pairs.encrypt(new Uint8Array(5)));

  const dataKeys = new DataKeys({ keyring, store: memoryStore() });
  const email = await dataKeys.field({ table: "users", column: "email" });
  const field = email.decrypt(email.encrypt("a@b.example", { row: "1" }), { row: "1" });
  await dataKeys.close();
  await keyring.close();
  return [text, refused, inspect(envelope).kind, streamed.byteLength, opened.length, field].join(" ");
}
`;

/** What \`roundTrip\` returns. */
export const SEEN = "net 30 days authentication-failed envelope 3000000 5 a@b.example";

/** The program that prints it, as a module. */
export const PRINTS = `import { roundTrip } from "./round-trip.js";\nroundTrip().then((seen) => console.log(seen));\n`;

/** The handler of a serverless function. */
export const HANDLER = `import { roundTrip } from "./round-trip.js";\nexport const handler = async () => ({ statusCode: 200, body: await roundTrip() });\n`;

/** The page that shows it in its title. */
export const PAGE = `import { roundTrip } from "./round-trip.js";\nroundTrip().then((seen) => { document.title = seen; }, (error) => { document.title = "failed: " + error; });\n`;

/** Asks for worker threads, which stand in a file of their own: prints how many bytes came back, or what the refusal says. */
export const LANES = `
import { Keyring } from "envelock";
import { localKey } from "envelock/providers/local";
const keyring = new Keyring({ wrapWith: [localKey({ keyId: "orders", key: new Uint8Array(32) })] });
const stream = new Blob([new Uint8Array(5_000_000)]).stream().pipeThrough(keyring.encryptStream({ lanes: 2 }));
new Response(stream).arrayBuffer().then(({ byteLength }) => console.log(byteLength), (error) => console.log(error.code, error.hint)).then(() => keyring.close());
`;

/** Uses what needs optional packages, none of which is installed: prints what each refusal advises. */
export const PEERS = `
import { azureKey, azureSecretKey } from "envelock/providers/azure";
import { localHybridKeyPair } from "envelock/providers/local-hybrid";
const credential = { getToken: async () => null };
const options = { keyContext: {}, wrapAad: () => new Uint8Array(0), signal: new AbortController().signal };
const providers = [
  azureKey({ keyUrl: "https://orders.vault.azure.net/keys/k", credential }),
  azureSecretKey({ secretUrl: "https://orders.vault.azure.net/secrets/s", credential }),
  localHybridKeyPair({ keyId: "k", publicKey: new Uint8Array(1216) }),
];
Promise.all(providers.map((provider) => provider.wrap(new Uint8Array(32), options).catch((error) => error.code + ": " + error.hint)))
  .then((hints) => console.log(hints.join("\\n")));
`;
