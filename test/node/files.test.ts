import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { decryptFile, encryptFile } from "../../src/node/index.ts";
import { patterned, testKeyring } from "../support/pieces.ts";
import { refusalCode } from "../support/refusal.ts";

let folder = "";
const at = (name: string): string => join(folder, name);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "envelock-files-"));
});

afterEach(() => rm(folder, { recursive: true }));

describe("files", () => {
  test.each([0, 1, 16384, 3_000_000])("%i bytes there and back, readable as any envelope", async (size) => {
    const keyring = testKeyring();
    const plaintext = patterned(size);
    await writeFile(at("plain"), plaintext);
    await encryptFile(keyring, at("plain"), at("sealed"), { context: { object: "plain" } });
    expect(Buffer.compare(await keyring.decrypt(await readFile(at("sealed")), { context: { object: "plain" } }), plaintext)).toBe(0);
    await decryptFile(keyring, at("sealed"), at("back"), { context: { object: "plain" } });
    expect(Buffer.compare(await readFile(at("back")), plaintext)).toBe(0);
    expect((await readdir(folder)).sort()).toEqual(["back", "plain", "sealed"]);
  });

  test("a decrypted file is its owner's alone, unless told otherwise", async () => {
    const keyring = testKeyring();
    await writeFile(at("sealed"), await keyring.encrypt(patterned(10)));
    await decryptFile(keyring, at("sealed"), at("back"));
    await decryptFile(keyring, at("sealed"), at("open"), { mode: 0o640 });
    expect([(await stat(at("back"))).mode & 0o777, (await stat(at("open"))).mode & 0o777]).toEqual([0o600, 0o640]);
  });

  test("an envelope that is cut short leaves an older target as it was, and no temporary file", async () => {
    const keyring = testKeyring();
    await writeFile(at("sealed"), await keyring.encrypt(patterned(2_000_000)));
    await truncate(at("sealed"), 1_500_000);
    await writeFile(at("back"), "older");
    expect(await refusalCode(() => decryptFile(keyring, at("sealed"), at("back")))).toBe("authentication-failed");
    expect(await readFile(at("back"), "utf8")).toBe("older");
    expect((await readdir(folder)).sort()).toEqual(["back", "sealed"]);
  });

  test("an abort at every step leaves nothing behind", async () => {
    const keyring = testKeyring();
    await writeFile(at("plain"), patterned(7_000_000));
    await encryptFile(keyring, at("plain"), at("sealed"));
    for (const [work, source] of [
      [encryptFile, "plain"],
      [decryptFile, "sealed"],
    ] as const) {
      for (let step = 0; step < 6; step++) {
        const abort = new AbortController();
        const stop = new Error(`stop at ${step}`);
        let steps = 0;
        const onProgress = (): void => {
          if (++steps === step) abort.abort(stop);
        };
        if (step === 0) abort.abort(stop);
        await expect(work(keyring, at(source), at("target"), { signal: abort.signal, onProgress })).rejects.toBe(stop);
        expect((await readdir(folder)).sort()).toEqual(["plain", "sealed"]);
      }
    }
  });

  test("a source that changes its length while it is read fails, and leaves nothing behind", async () => {
    const keyring = testKeyring();
    await writeFile(at("plain"), patterned(8_000_000));
    let isCut = false;
    const onProgress = (): void => {
      if (!isCut) truncate(at("plain"), 100);
      isCut = true;
    };
    expect(await refusalCode(() => encryptFile(keyring, at("plain"), at("target"), { onProgress }))).toBe("invalid-argument");
    expect(await readdir(folder)).toEqual(["plain"]);
  });

  test.each([
    ["a source that is not there", "absent", "target", "ENOENT"],
    ["a folder as source", ".", "target", "EISDIR"],
    ["a target in no folder", "plain", "absent/target", "ENOENT"],
    ["a target that is a folder", "plain", "folder", "EISDIR"],
  ])("%s: the file system's own error, and nothing left behind", async (_, source, target, code) => {
    await writeFile(at("plain"), patterned(100));
    await mkdir(at("folder"));
    await expect(encryptFile(testKeyring(), at(source), at(target))).rejects.toMatchObject({ code });
    expect((await readdir(folder)).sort()).toEqual(["folder", "plain"]);
    expect(await readdir(at("folder"))).toEqual([]);
  });
});
