import { expect, test } from "vitest";
import { engine as portable } from "../../src/core/crypto/engine/portable.ts";
import { wasmInstance } from "../../src/core/crypto/engine/wasm/instance.ts";
import { noise } from "../support/arbitraries.ts";

// The module's memory is one array: whatever a call leaves there could be found by the next fault.

const KEY = noise(32, "key");
const TEXT = Buffer.from("the plaintext that must not be left anywhere in the memory".padEnd(200, "."));
const AAD = noise(60, "aad");

test("holds no key, no derived key and no plaintext after any call", () => {
  const { coarse } = portable;
  const wasm = wasmInstance();
  if (coarse === undefined || wasm === undefined) return expect.fail("no module");
  const salt = noise(24, "salt");
  const info = [noise(48, "label"), salt];
  const okm = coarse.expand("sha512", KEY, info, 76) ?? KEY;
  const derived = coarse.expand("sha512", KEY, [AAD], 64) ?? KEY;
  const mac = portable.hmac("sha512", KEY, TEXT);
  const xaes = coarse.xaes(KEY);
  const siv = portable.siv(noise(64, "siv"));
  const blocks = portable.blockCipher(KEY);
  const sealed = new Uint8Array(TEXT.length + 40);
  const body = new Uint8Array(TEXT.length + 72);
  const message = new Uint8Array(TEXT.length + 16);
  const long = Buffer.alloc(70_000, TEXT);
  const longSealed = new Uint8Array(long.length + 40);
  const token = xaes?.sealText(AAD, noise(17), TEXT.toString()) ?? "";
  const wrong = `${token.slice(0, 60)}${token[60] === "A" ? "B" : "A"}${token.slice(61)}`;
  const deterministic = siv.seal([AAD], TEXT);
  const calls: Record<string, () => unknown> = {
    expand: () => coarse.expand("sha512", KEY, info, 76),
    hmac: () => portable.hmac("sha512", KEY, TEXT),
    key: () => coarse.xaes(KEY),
    seal: () => xaes?.sealFresh(AAD, TEXT, sealed, 0),
    open: () => xaes?.open(AAD, sealed, 0),
    refuse: () => xaes?.open(noise(3), sealed, 0),
    sealLong: () => xaes?.sealFresh(AAD, long, longSealed, 0),
    openLong: () => xaes?.open(AAD, longSealed, 0),
    refuseLong: () => xaes?.open(noise(3), longSealed, 0),
    sealText: () => xaes?.sealText(AAD, noise(17), TEXT.toString()),
    openText: () => xaes?.openText(AAD, noise(17), token),
    refuseText: () => xaes?.openText(AAD, noise(17), wrong),
    lone: () => xaes?.sealText(AAD, noise(17), `${TEXT}\u{d800}`),
    sealBody: () => coarse.sealBody(KEY, salt, info, TEXT, body, 0),
    openBody: () => coarse.openBody(KEY, info, body),
    refuseBody: () =>
      coarse.openBody(
        KEY,
        info,
        body.map((byte, at) => (at === 100 ? byte ^ 1 : byte)),
      ),
    gcmSeal: () => portable.gcm.seal(KEY, noise(12), AAD, TEXT, message, 0),
    gcmOpen: () => portable.gcm.open(KEY, noise(12), AAD, message),
    sivSeal: () => siv.seal([AAD], TEXT),
    sivOpen: () => siv.open([AAD], deterministic),
    blocks: () => blocks.encrypt(TEXT.subarray(0, 192)),
  };
  const secrets = { KEY, TEXT, okm: okm.subarray(0, 44), derived, mac };
  for (const [name, call] of Object.entries(calls)) {
    call();
    const memory = Buffer.from(wasm.memory);
    for (const [secret, bytes] of Object.entries(secrets)) {
      for (let at = 0; at + 12 <= bytes.length; at += 4) {
        expect(memory.indexOf(bytes.subarray(at, at + 12)), `${secret} from ${at} on, after ${name}`).toBe(-1);
      }
    }
    const { schedule, key } = wasm.at;
    expect(
      memory.subarray(schedule, schedule + 272).every((byte) => byte === 0),
      `a schedule after ${name}`,
    ).toBe(true);
    expect(
      memory.subarray(key, key + 128).every((byte) => byte === 0),
      `a key after ${name}`,
    ).toBe(true);
  }
});
