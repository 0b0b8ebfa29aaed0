import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { localKey } from "../../../providers/local/index.ts";
import { isBytes } from "../../../src/core/base/bytes.ts";
import { DataKey } from "../../../src/core/data-key/data-key.ts";
import { inspect } from "../../../src/core/keyring/inspect.ts";
import { Keyring } from "../../../src/core/keyring/keyring.ts";
import { refusalCode } from "../../support/refusal.ts";
import { untyped } from "../../support/untyped.ts";

/** The same bytes as an array of another realm, as a test runner with vm contexts or a frame hands them over. */
function elsewhere(bytes: Uint8Array): Uint8Array {
  return untyped(runInNewContext(`Uint8Array.from(${JSON.stringify([...bytes])})`));
}

const ONE = Uint8Array.of(7);

describe("what another realm made is taken for what it is", () => {
  test("bytes: plaintext, envelope, header, body, key record, token, key", async () => {
    const keyring = new Keyring(localKey({ keyId: "k", key: elsewhere(new Uint8Array(32)) }));
    const envelope = await keyring.encrypt(elsewhere(ONE), untyped(runInNewContext("({ context: { row: '1' } })")));
    const options = { context: { row: "1" } };
    const opened = await keyring.decrypt(elsewhere(envelope), options);
    expect([opened instanceof Uint8Array, opened.buffer instanceof ArrayBuffer, opened]).toEqual([true, true, ONE]);
    const { header, body } = await keyring.encryptDetached(ONE);
    expect(await keyring.decryptDetached({ header: elsewhere(header), body: elsewhere(body) })).toEqual(ONE);
    expect(await keyring.decrypt(await keyring.rewrap(elsewhere(envelope)), options)).toEqual(ONE);
    const { keyRecord, dataKey } = await keyring.createDataKey();
    const again = await keyring.unwrapDataKey(elsewhere(keyRecord));
    expect(again.decryptToken(elsewhere(dataKey.encryptToken(elsewhere(ONE))))).toEqual(ONE);
    expect(DataKey.from(elsewhere(new Uint8Array(32))).kid).toBe(DataKey.from(new Uint8Array(32)).kid);
    expect(inspect(elsewhere(envelope)).kind).toBe("envelope");
  });

  test("a signal", async () => {
    const keyring = new Keyring(localKey({ keyId: "k", key: new Uint8Array(32) }));
    const signal: AbortSignal = untyped(runInNewContext("AbortSignal.abort('left')", { AbortSignal }));
    await expect(keyring.encrypt(ONE, { signal })).rejects.toBe("left");
  });

  test("and nothing for what it only says to be", async () => {
    const liar = Object.defineProperty(new Uint16Array(4), Symbol.toStringTag, { value: "Uint8Array" });
    for (const value of [
      liar,
      new DataView(new ArrayBuffer(4)),
      { length: 3, [Symbol.toStringTag]: "Uint8Array" },
      runInNewContext("new Int8Array(3)"),
    ]) {
      expect(isBytes(value)).toBe(false);
      expect(await refusalCode(() => inspect(untyped(value)))).toBe("invalid-argument");
    }
  });
});
