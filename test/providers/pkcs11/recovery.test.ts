import { once } from "node:events";
import { renameSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import pkcs11js from "pkcs11js";
import { afterAll, afterEach, expect, test } from "vitest";
import { type Pkcs11KeyOptions, pkcs11Key } from "../../../providers/pkcs11/index.ts";
import type { KeyProvider } from "../../../src/core/contracts/key-provider.ts";
import { noise } from "../../support/arbitraries.ts";
import { hexOf } from "../../support/bytes.ts";
import { refusal } from "../../support/refusal.ts";
import { faultShim } from "./fault-shim.ts";
import { built, DEK, locationOf, OPTIONS } from "./location.ts";
import { importIntoSoftHsm, initialiseSoftHsm, PIN, softHsmTokens } from "./tokens.ts";

// SoftHSM looks for its tokens when it is initialised and never again, as other modules do.

const softHsm = softHsmTokens("first");
const [token] = softHsm.tokens;
token.addKey({ label: "orders", id: "01", aes: noise(32, "first") });
const shim = faultShim(token.module, softHsm.folder);
const opened: KeyProvider[] = [];
afterEach(async () => {
  shim.heal();
  for (const provider of opened.splice(0)) await provider.close?.();
});
afterAll(() => softHsm.remove());

test("a token that was made after the library was loaded is found, also while others are in use", async () => {
  const first = open("first");
  const recipient = await first.wrap(DEK, OPTIONS);
  makeToken("second");
  expect(hexOf(await roundTrip(open("second")))).toBe(hexOf(DEK));
  expect(hexOf(await first.unwrap(recipient, OPTIONS))).toBe(hexOf(DEK)); // its sessions ended, and it opens new ones
});

test("a token that was made after all providers were closed is found", async () => {
  const first = open("first");
  await first.wrap(DEK, OPTIONS);
  await first.close();
  makeToken("third");
  expect(hexOf(await roundTrip(open("third")))).toBe(hexOf(DEK));
});

test("a missing token is `key-not-found` once the library has looked anew and shows others, and is found when it comes", async () => {
  const waiting = open("fourth");
  expect(await refusal(() => waiting.current())).toMatchObject({ code: "key-not-found", detail: "token-missing", retryable: false });
  makeToken("fourth");
  expect(hexOf(await roundTrip(waiting))).toBe(hexOf(DEK));
});

test("tokens that are away when the library starts are an outage, and found when they are back", async () => {
  const before = open("first");
  const recipient = await before.wrap(DEK, OPTIONS);
  await before.close();
  finalise(token.module);
  const tokens = join(softHsm.folder, "tokens");
  renameSync(tokens, `${tokens}-away`);
  const key = open("first");
  expect(await refusal(() => key.unwrap(recipient, OPTIONS))).toMatchObject({
    code: "unavailable",
    hint: expect.stringContaining("SOFTHSM2_CONF"),
  });
  renameSync(`${tokens}-away`, tokens);
  expect(hexOf(await key.unwrap(recipient, OPTIONS))).toBe(hexOf(DEK));
});

test("a library that does not start is tried again, and says what may be the reason", async () => {
  const before = open("first");
  const recipient = await before.wrap(DEK, OPTIONS);
  await before.close();
  finalise(token.module);
  shim.inject("C_Initialize", { returnValue: pkcs11js.CKR_HOST_MEMORY });
  const key = open("first", { module: shim.module });
  for (let call = 0; call < 3; call++) {
    expect(await refusal(() => key.current())).toMatchObject({
      code: "unavailable",
      detail: "library-start",
      hint: expect.stringContaining("pkcsslotd"),
    });
  }
  shim.heal();
  expect(hexOf(await key.unwrap(recipient, OPTIONS))).toBe(hexOf(DEK));
});

test("calls in flight end before the library is initialised anew", async () => {
  const key = open("first", { module: shim.module });
  const recipient = await key.wrap(DEK, OPTIONS);
  shim.calls();
  shim.inject("C_Decrypt", { delayMs: 150 });
  const slow = key.unwrap(recipient, OPTIONS);
  const missing = refusal(() => open("nowhere", { module: shim.module }).current());
  expect(hexOf(await slow)).toBe(hexOf(DEK));
  expect((await missing).detail).toBe("token-missing");
  const calls = shim.calls();
  expect(calls.filter((name) => name === "C_Finalize")).toHaveLength(1);
  expect(calls.indexOf("C_Decrypt")).toBeLessThan(calls.indexOf("C_Finalize"));
  shim.heal();
  expect(hexOf(await key.unwrap(recipient, OPTIONS))).toBe(hexOf(DEK));
});

test("a token that stays away is looked for at longer and longer intervals", async () => {
  const key = open("nowhere", { module: shim.module });
  shim.calls();
  for (let call = 0; call < 12; call++) expect((await refusal(() => key.current())).detail).toBe("token-missing");
  expect(shim.calls().filter((name) => name === "C_Finalize").length).toBeLessThan(7);
});

test("nothing finalises a library that goes on: not the last provider, not a second one", async () => {
  shim.calls();
  for (let round = 0; round < 3; round++) {
    const key = open("first", { module: shim.module });
    await key.wrap(DEK, OPTIONS);
    await key.close();
  }
  expect(shim.calls()).not.toContain("C_Finalize");
});

test("a provider in another thread than the one that initialised the library recovers, and so does the first", async () => {
  const here = open("first");
  const recipient = await here.wrap(DEK, OPTIONS);
  const thread = new Worker(threadProgram({ module: token.module, label: "fifth" }), { eval: true });
  const [before] = await once(thread, "message");
  expect(before).toBe("token-missing");
  makeToken("fifth");
  thread.postMessage("again");
  const [after] = await once(thread, "message");
  expect(after).toBe(hexOf(DEK));
  expect(hexOf(await here.unwrap(recipient, OPTIONS))).toBe(hexOf(DEK)); // its handles were void, and it noticed
  await thread.terminate();
});

function open(label: string, options: Partial<Pkcs11KeyOptions> = {}): Required<KeyProvider> {
  const key = pkcs11Key({ ...locationOf(token), token: { label }, key: { label: "orders" }, ...options });
  opened.push(key);
  return key;
}

async function roundTrip(key: KeyProvider): Promise<Uint8Array> {
  return await key.unwrap(await key.wrap(DEK, OPTIONS), OPTIONS);
}

function makeToken(label: string): void {
  initialiseSoftHsm(label);
  importIntoSoftHsm(label, "orders", "01", noise(32, label), softHsm.folder);
}

/** Wraps once at once and once when it is told to, and says how that went. */
function threadProgram({ module, label }: { readonly module: string; readonly label: string }): string {
  const options = { module, token: { label }, key: { label: "orders" } };
  return `
    const { parentPort } = require("node:worker_threads");
    (async () => {
      const { pkcs11Key } = await import(${JSON.stringify(built("providers/pkcs11.js"))});
      const key = pkcs11Key({ ...${JSON.stringify(options)}, pin: () => ${JSON.stringify(PIN)} });
      const context = { keyContext: {}, wrapAad: () => new Uint8Array(8) };
      const dek = Uint8Array.from(${JSON.stringify([...DEK])});
      const trip = async () => Buffer.from(await key.unwrap(await key.wrap(dek, context), context)).toString("hex");
      const tell = async () => parentPort.postMessage(await trip().catch(({ code, detail, message }) => detail ?? code + message));
      parentPort.on("message", tell);
      await tell();
    })();`;
}

function finalise(module: string): void {
  const library = new pkcs11js.PKCS11();
  library.load(module);
  library.C_Finalize();
}
