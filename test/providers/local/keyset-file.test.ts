import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  formatKeyset,
  generateKeysetKey,
  type Keyset,
  publicKeyset,
  readKeysetFile,
  writeKeysetFile,
} from "../../../providers/local/index.ts";
import { refusal, refusalCode } from "../../support/refusal.ts";

let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "envelock-keyset-"));
  path = join(folder, "keys.json");
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function newKeyset(type: "aes-256" | "x25519" = "aes-256"): Promise<Keyset> {
  const key = await generateKeysetKey({ type, keyId: "k1", created: "2026-11-21T09:30:00.250Z" });
  return { primary: "k1", keys: [key] };
}

async function modeOf(file: string): Promise<number> {
  return (await stat(file)).mode & 0o777;
}

describe("writeKeysetFile", () => {
  test("writes what is read back, for its owner alone, and leaves nothing else", async () => {
    const keyset = await newKeyset();
    await writeKeysetFile(path, keyset);
    expect(await readKeysetFile(path)).toEqual(keyset);
    expect(await modeOf(path)).toBe(0o600);
    expect(await readdir(folder)).toEqual(["keys.json"]);
  });

  test("refuses to replace a file, and leaves it as it was", async () => {
    await writeFile(path, "precious");
    const error = await refusal(async () => writeKeysetFile(path, await newKeyset()));
    expect(error.code).toBe("invalid-argument");
    expect(error.hint).toContain("overwrite");
    expect(await readFile(path, "utf8")).toBe("precious");
    expect(await readdir(folder)).toEqual(["keys.json"]);
  });

  test("replaces a file when told, and narrows its mode", async () => {
    await writeFile(path, "old", { mode: 0o644 });
    const keyset = await newKeyset();
    await writeKeysetFile(path, keyset, { overwrite: true });
    expect(await readKeysetFile(path)).toEqual(keyset);
    expect(await modeOf(path)).toBe(0o600);
    expect(await readdir(folder)).toEqual(["keys.json"]);
  });

  test("a reader sees the old file or the new one, whole, while it is being replaced", async () => {
    const keysets = await Promise.all([newKeyset(), newKeyset()]);
    const whole = new Set(keysets.map(formatKeyset));
    await writeKeysetFile(path, keysets[0]);
    let isWriting = true;
    const writes = (async () => {
      for (let round = 0; round < 20; round++) await writeKeysetFile(path, keysets[round % 2] ?? keysets[0], { overwrite: true });
      isWriting = false;
    })();
    const seen = new Set<string>();
    while (isWriting) seen.add(await readFile(path, "utf8"));
    await writes;
    for (const text of seen) expect(whole).toContain(text);
  });

  test("of many who write a new file at once, one does", async () => {
    const writers = await Promise.all(Array.from({ length: 8 }, () => newKeyset()));
    const outcomes = await Promise.allSettled(writers.map((keyset) => writeKeysetFile(path, keyset)));
    const winner = outcomes.findIndex(({ status }) => status === "fulfilled");
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(await readKeysetFile(path)).toEqual(writers[winner]);
    expect(await readdir(folder)).toEqual(["keys.json"]);
  });

  test("a bad keyset touches nothing", async () => {
    const keyset = await newKeyset();
    expect(await refusalCode(() => writeKeysetFile(path, { ...keyset, primary: "other" }))).toBe("invalid-argument");
    expect(await readdir(folder)).toEqual([]);
  });

  test("a folder that is not there is key-not-found; one in the way is provider-failure and leaves nothing", async () => {
    const keyset = await newKeyset();
    expect(await refusalCode(() => writeKeysetFile(join(folder, "none", "keys.json"), keyset))).toBe("key-not-found");
    await mkdir(path);
    await writeFile(join(path, "inside"), "");
    expect(await refusalCode(() => writeKeysetFile(path, keyset, { overwrite: true }))).toBe("provider-failure");
    expect(await readdir(folder)).toEqual(["keys.json"]);
  });
});

describe("readKeysetFile", () => {
  const openModes = [0o604, 0o640, 0o620, 0o602, 0o610, 0o644, 0o666, 0o777];
  for (const mode of openModes) {
    test(`refuses mode ${mode.toString(8)} and says what to do`, async () => {
      await writeKeysetFile(path, await newKeyset());
      await chmod(path, mode);
      const error = await refusal(() => readKeysetFile(path));
      expect(error.code).toBe("access-denied");
      expect(error.hint).toBe(`chmod 600 ${path}`);
    });
  }

  test("takes 400 and 600, and 644 of a keyset without secrets", async () => {
    const keyset = await newKeyset();
    await writeKeysetFile(path, keyset);
    await chmod(path, 0o400);
    expect(await readKeysetFile(path)).toEqual(keyset);

    const readable = join(folder, "public.json");
    const withoutSecrets = publicKeyset(await newKeyset("x25519"));
    await writeKeysetFile(readable, withoutSecrets);
    await chmod(readable, 0o644);
    expect(await readKeysetFile(readable)).toEqual(withoutSecrets);
    await chmod(readable, 0o664); // whoever changes a public key reads what is wrapped under it
    expect(await refusalCode(() => readKeysetFile(readable))).toBe("access-denied");
  });

  test("no file, a folder and a file that is no keyset", async () => {
    expect(await refusalCode(() => readKeysetFile(path))).toBe("key-not-found");
    expect(await refusalCode(() => readKeysetFile(folder))).toBe("invalid-argument");
    await writeFile(path, "not a keyset", { mode: 0o600 });
    expect(await refusalCode(() => readKeysetFile(path))).toBe("invalid-argument");
  });
});
