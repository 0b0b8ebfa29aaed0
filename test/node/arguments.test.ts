import { describe, expect, test } from "vitest";
import { decryptDuplex, decryptFile, encryptDuplex, encryptFile } from "../../src/node/index.ts";
import { kek } from "../support/keks.ts";
import { testKeyring } from "../support/pieces.ts";
import { refusal } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";

const METHODS = { encryptPieces: () => undefined, decryptPieces: () => undefined };

/** An object that says it is a keyring, as one of another copy of the package does. */
const FOREIGN = Object.defineProperty({ ...METHODS }, Symbol.for("envelock.Keyring"), { value: true });

const TAKES: Readonly<Record<string, (keyring: unknown) => unknown>> = {
  encryptDuplex: (keyring) => encryptDuplex(untyped(keyring)),
  decryptDuplex: (keyring) => decryptDuplex(untyped(keyring)),
  encryptFile: (keyring) => encryptFile(untyped(keyring), "source", "target"),
  decryptFile: (keyring) => decryptFile(untyped(keyring), "source", "target"),
};

describe("what is no keyring is refused as such by", () => {
  test.each(Object.entries(TAKES))("%s", async (_, take) => {
    for (const given of [undefined, null, {}, METHODS, kek(), { keyring: testKeyring() }, "k"]) {
      expect(await refusal(() => take(given))).toMatchObject({
        code: "invalid-argument",
        message: "keyring must be a Keyring",
      });
    }
    expect(await refusal(() => take(FOREIGN))).toMatchObject({
      code: "invalid-argument",
      hint: expect.stringContaining("npm ls envelock"),
    });
  });
});
