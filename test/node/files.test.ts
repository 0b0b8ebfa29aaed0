import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { link, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { engine } from "#engine";
import { KeptOutputs } from "../../src/core/stream/kept-outputs.ts";
import { decryptFile, encryptFile } from "../../src/node/index.ts";
import { patterned, testKeyring } from "../support/pieces.ts";
import { refusal, refusalCode } from "../support/refusal.ts";
import { untyped } from "../support/untyped.ts";

let folder = "";
const at = (name: string): string => join(folder, name);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "envelock-files-"));
});

afterEach(() => rm(folder, { recursive: true }));

describe("files", () => {
  test.each([0, 1, 16384, 3_000_000, 9_000_000])("%i bytes there and back, readable as any envelope", async (size) => {
    const keyring = testKeyring();
    const plaintext = patterned(size);
    await writeFile(at("plain"), plaintext);
    await encryptFile(keyring, at("plain"), at("sealed"), { context: { object: "plain" } });
    expect(Buffer.compare(await keyring.decrypt(await readFile(at("sealed")), { context: { object: "plain" } }), plaintext)).toBe(0);
    await decryptFile(keyring, at("sealed"), at("back"), { context: { object: "plain" } });
    expect(Buffer.compare(await readFile(at("back")), plaintext)).toBe(0);
    expect((await readdir(folder)).sort()).toEqual(["back", "plain", "sealed"]);
  });

  test("many batches of a file share two arrays, and no batch changes before the one after it was asked for", async () => {
    const keyring = testKeyring();
    const plaintext = patterned(12 * 2 ** 20 + 5);
    await writeFile(at("plain"), plaintext);
    const allocate = vi.spyOn(engine, "allocate");
    const arraysFor = async (work: () => Promise<void>): Promise<number> => {
      allocate.mockClear();
      await work();
      return allocate.mock.calls.filter(([bytes]) => bytes >= 2 ** 20).length - 2; // two are what is read into
    };
    expect(await arraysFor(() => encryptFile(keyring, at("plain"), at("sealed")))).toBeLessThanOrEqual(2);
    expect(await arraysFor(() => decryptFile(keyring, at("sealed"), at("back")))).toBeLessThanOrEqual(2);
    allocate.mockRestore();
    expect(Buffer.compare(await readFile(at("back")), plaintext)).toBe(0);

    const kept = new KeptOutputs();
    const made = new Set<Uint8Array>();
    async function* batches() {
      for (let number = 0; number < 9; number++) yield kept.take(7).fill(number);
    }
    let before = new Uint8Array();
    let number = 0;
    for await (const batch of kept.passing(batches())) {
      expect([...before]).toEqual(number === 0 ? [] : Array(7).fill(number - 1));
      expect([...batch]).toEqual(Array(7).fill(number++));
      made.add(batch);
      before = batch;
    }
    expect([...before]).toEqual(Array(7).fill(8));
    expect(made.size).toBe(2);
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
    expect(await refusalCode(() => decryptFile(keyring, at("sealed"), at("back"), { force: true }))).toBe("authentication-failed");
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
    ["a folder as source", ".", "target", undefined],
    ["a target in no folder", "plain", "absent/target", "ENOENT"],
    ["a target below a file", "plain", "plain/target", "ENOTDIR"],
    ["a target that is a folder", "plain", "folder", undefined],
    ["a name that is too long", "plain", "x".repeat(300), "ENAMETOOLONG"],
  ])("%s: invalid-argument with the file system's own error as cause, and nothing left behind", async (_, source, target, name) => {
    await writeFile(at("plain"), patterned(100));
    await mkdir(at("folder"));
    for (const force of [false, true]) {
      const { code, cause } = await refusal(() => encryptFile(testKeyring(), at(source), at(target), { force }));
      expect(code).toBe("invalid-argument");
      expect(cause).toEqual(name === undefined ? undefined : expect.objectContaining({ code: name }));
    }
    expect((await readdir(folder)).sort()).toEqual(["folder", "plain"]);
    expect(await readdir(at("folder"))).toEqual([]);
  });

  test("an existing target is refused and stays, also where it is the source; `force` replaces it", async () => {
    const keyring = testKeyring();
    const plaintext = patterned(100_000);
    await writeFile(at("plain"), plaintext);
    await writeFile(at("sealed"), "older");
    await link(at("plain"), at("same"));
    await symlink("plain", at("link"));
    for (const target of ["sealed", "plain", "same", "link"]) {
      const { code, hint } = await refusal(() => encryptFile(keyring, at("plain"), at(target)));
      expect([code, hint]).toEqual(["invalid-argument", "pass force: true to replace it"]);
    }
    expect(await readFile(at("sealed"), "utf8")).toBe("older");
    expect(Buffer.compare(await readFile(at("plain")), plaintext)).toBe(0);
    await encryptFile(keyring, at("plain"), at("sealed"), { force: true });
    expect(await refusalCode(() => decryptFile(keyring, at("sealed"), at("plain")))).toBe("invalid-argument");
    await encryptFile(keyring, at("plain"), at("link"), { force: true }); // the link is replaced, not what it leads to
    expect(Buffer.compare(await readFile(at("plain")), plaintext)).toBe(0);
    expect(Buffer.compare(await keyring.decrypt(await readFile(at("link"))), plaintext)).toBe(0);
    await encryptFile(keyring, at("plain"), at("plain"), { force: true });
    expect(Buffer.compare(await keyring.decrypt(await readFile(at("plain"))), plaintext)).toBe(0);
    expect(Buffer.compare(await readFile(at("same")), plaintext)).toBe(0);
  });

  test("a target that comes to stand there while the file is made is refused, and stays", async () => {
    await writeFile(at("plain"), patterned(3_000_000));
    let isThere = false;
    const onProgress = (): void => {
      if (!isThere) writeFileSync(at("target"), "of another process");
      isThere = true;
    };
    expect(await refusalCode(() => encryptFile(testKeyring(), at("plain"), at("target"), { onProgress }))).toBe("invalid-argument");
    expect(await readFile(at("target"), "utf8")).toBe("of another process");
    expect((await readdir(folder)).sort()).toEqual(["plain", "target"]);
  });

  test("a pipe and a device are refused at once, on both sides, also with `force`", async () => {
    await writeFile(at("plain"), patterned(100));
    execFileSync("mkfifo", [at("pipe")]);
    for (const force of [false, true]) {
      for (const [source, target] of [
        [at("pipe"), at("target")],
        ["/dev/zero", at("target")],
        [at("plain"), at("pipe")],
        [at("plain"), "/dev/null"],
      ] as const) {
        const { code, message } = await refusal(() => encryptFile(testKeyring(), source, target, { force }));
        expect([code, message]).toEqual(["invalid-argument", expect.stringContaining("no regular file")]);
      }
    }
    expect((await readdir(folder)).sort()).toEqual(["pipe", "plain"]);
  });

  test("what a caller brings comes back as it is: the reason of an abort, though it looks like an error of the file system", async () => {
    await writeFile(at("plain"), patterned(3_000_000));
    const reason = Object.assign(new Error("looks like one"), { code: "ENOSPC" });
    const abort = new AbortController();
    const options = { signal: abort.signal, onProgress: () => abort.abort(reason) };
    await expect(encryptFile(testKeyring(), at("plain"), at("target"), options)).rejects.toBe(reason);
  });

  test("the options count as they were when the call was made", async () => {
    const keyring = testKeyring();
    await writeFile(at("plain"), patterned(10));
    const options = { context: { object: "first" }, mode: 0o640 };
    const encrypting = encryptFile(keyring, at("plain"), at("sealed"), options);
    options.context.object = "second";
    options.mode = 0o600;
    await encrypting;
    const opening = { context: { object: "first" } };
    const decrypting = decryptFile(keyring, at("sealed"), at("back"), opening);
    opening.context.object = "second";
    await decrypting;
    expect((await stat(at("sealed"))).mode & 0o777).toBe(0o640);
    expect(Buffer.compare(await readFile(at("back")), patterned(10))).toBe(0);
  });

  test("arguments that are none are refused before any file is opened", async () => {
    const keyring = testKeyring();
    for (const work of [encryptFile, decryptFile]) {
      for (const call of [
        () => work(keyring, at("plain"), at("target"), untyped({ tenant: "acme" })),
        () => work(keyring, at("plain"), at("target"), { mode: 0o1777 }),
        () => work(keyring, untyped(undefined), at("target")),
        () => work(keyring, at("plain"), untyped(7)),
        () => work(keyring, at("plain\0"), at("target")),
      ]) {
        expect(await refusalCode(call)).toBe("invalid-argument");
      }
    }
    const { hint } = await refusal(() => encryptFile(keyring, at("plain"), at("target"), untyped({ contxt: {} })));
    expect(hint).toContain("context");
  });
});
