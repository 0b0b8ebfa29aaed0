import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { runBatch } from "../../src/cli/batch.ts";
import { Stores } from "../../src/cli/places/store-place.ts";
import { progressOn, progressText } from "../../src/cli/progress.ts";
import { headerBytesOf } from "../../src/core/format/envelope.ts";
import { encryptedBytes } from "../../src/core/stream/streams.ts";
import { noise } from "../support/arbitraries.ts";
import { expectOneBar, ok, onSlowTerminal, refused, run, scratch } from "./runner.ts";

const { at, read, write, names } = scratch();
const keys = at("keys.json");
const plaintext = Uint8Array.from(randomBytes(9_000_000));

beforeAll(async () => {
  await ok(["keygen", keys]);
  await ok(["encrypt", write("plain", plaintext), "--key", keys, "--out", at("envelope")]);
});

describe("lanes", () => {
  test.each(["auto", "1", "2"])("%s: the same plaintext, through pipes, and the length that was to be expected", async (lanes) => {
    const { stdout: envelope } = await ok(["encrypt", "--key", keys, "--lanes", lanes], plaintext);
    expect(envelope.length).toBe(encryptedBytes(plaintext.length, headerBytesOf(envelope)));
    const { stdout } = await ok(["decrypt", "--key", keys, "--lanes", lanes], envelope);
    expect(Buffer.compare(stdout, plaintext)).toBe(0);
  });

  test.each(["0", "1.5", "65", "many", ""])("%s: refused as a wrong command line", async (lanes) => {
    await refused(2, "invalid-argument", ["encrypt", at("plain"), "--key", keys, "--lanes", lanes]);
  });
});

describe("an envelope whose end is missing", () => {
  test("to standard output: a verified beginning, a warning, exit code 1", async () => {
    const result = await run(["decrypt", "--key", keys], read("envelope").subarray(0, 7_000_000));
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toMatch(/^envelock: authentication-failed: .*what was written is a verified beginning, not the whole\n/);
    expect(result.stdout.length).toBeGreaterThan(5_000_000);
    expect(Buffer.compare(result.stdout, plaintext.subarray(0, result.stdout.length))).toBe(0);
  });

  test("to a file: nothing", async () => {
    const before = names(".");
    await refused(1, "authentication-failed", ["decrypt", "--key", keys, "--out", at("never")], read("envelope").subarray(0, 7_000_000));
    expect(names(".")).toEqual(before);
  });

  test("that has been changed before anything could be verified: nothing, and no such warning", async () => {
    const changed = read("envelope").slice();
    changed[1000] = (changed[1000] ?? 0) ^ 1;
    expect((await refused(1, "authentication-failed", ["decrypt", "--key", keys], changed)).stderr).not.toContain("beginning");
  });
});

describe("a range", () => {
  test.each([
    ["0-0", 0, 1],
    ["16383-16384", 16383, 16385],
    ["2000000-4999999", 2_000_000, 5_000_000],
    ["8999999-99999999", 8_999_999, 9_000_000],
    ["8000000-", 8_000_000, 9_000_000],
    ["-5", 8_999_995, 9_000_000],
  ])("%s", async (range, start, end) => {
    const { stdout } = await ok(["decrypt", at("envelope"), "--key", keys, "--range", range]);
    expect(Buffer.compare(stdout, plaintext.subarray(start, end))).toBe(0);
  });

  test("to a file", async () => {
    await ok(["decrypt", at("envelope"), "--key", keys, "--range", "5-9", "--out", at("part")]);
    expect(Buffer.compare(read("part"), plaintext.subarray(5, 10))).toBe(0);
  });

  test("of an empty file is empty", async () => {
    await ok(["encrypt", write("empty", new Uint8Array(0)), "--key", keys, "--out", at("empty.envelope")]);
    expect((await ok(["decrypt", at("empty.envelope"), "--key", keys, "--range", "0-5"])).stdout).toHaveLength(0);
  });

  test("behind the end is refused, and so is one of a file that was cut", async () => {
    await refused(1, "invalid-argument", ["decrypt", at("envelope"), "--key", keys, "--range", "9000000-"]);
    write("cut", read("envelope").subarray(0, 7_000_000));
    await refused(1, "authentication-failed", ["decrypt", at("cut"), "--key", keys, "--range", "0-9"]);
  });

  test.each(["", "-", "5", "9-5", "a-b", "1-2,4-5"])("%s: no range", async (range) => {
    await refused(2, "invalid-argument", ["decrypt", at("envelope"), "--key", keys, `--range=${range}`]);
  });

  test("of a pipe is refused", async () => {
    await refused(2, "invalid-argument", ["decrypt", "--key", keys, "--range", "0-5"], read("envelope"));
  });
});

describe("progress", () => {
  test("says how much, how fast and how long", () => {
    expect(progressText(450e6, 1e9, 1000)).toBe("[#############                 ]   45 %  450 MB of 1.0 GB  450 MB/s  0:01 left");
    expect(progressText(0, 1e9, 0)).toContain("  0 %  0 B of 1.0 GB  0 B/s  ? left");
    expect(progressText(1e12, 1e13, 36e5)).toContain("9:00:00 left");
    expect(progressText(2e9, 1e9, 1000)).toContain("100 %");
    expect(progressText(450e6, undefined, 1000)).toBe("450 MB  450 MB/s");
    for (const columns of [10, 40, 60, 200]) expect(progressText(450e6, 1e9, 1000, columns).length).toBeLessThan(columns);
  });

  test("shows on a terminal alone, at most ten times a second, and cleans up", () => {
    const written: string[] = [];
    const terminal = { isTTY: true, columns: 80, write: (text: string) => written.push(text) };
    let nowMs = 0;
    const bar = progressOn(terminal, 1000, () => nowMs);
    for (nowMs = 0; nowMs < 1000; nowMs += 10) bar.onProgress(nowMs);
    bar.end();
    expect(written).toHaveLength(10);
    expect(written[0]).toContain("10 %");
    expect(written.at(-1)).toBe("\r\x1b[K");
    const quiet = progressOn({ ...terminal, isTTY: false }, 1000, () => nowMs);
    quiet.onProgress(5);
    quiet.end();
    const quick = progressOn(terminal, 1000, () => nowMs);
    quick.onProgress(1000);
    quick.end();
    expect(written).toHaveLength(10);
  });

  test("of many files at once is one bar over all their bytes", async () => {
    const files = ["one", "two", "three"].map((name) => write(name, noise(200_000)));
    const shown: string[] = [];
    let nowMs = 0;
    const { isTTY } = process.stderr;
    process.stderr.isTTY = true;
    const spies = [
      vi.spyOn(process.stderr, "write").mockImplementation((text) => shown.push(`${text}`) > 0),
      vi.spyOn(performance, "now").mockImplementation(() => (nowMs += 150)), // each step is late enough to be shown
    ];
    try {
      await runBatch(
        files,
        new Stores({}),
        { parallel: 3, isSilent: true },
        () => true,
        async (_file, onProgress) => {
          for (let doneBytes = 0; doneBytes <= 200_000; doneBytes += 50_000) {
            onProgress(doneBytes);
            await new Promise((resolve) => setImmediate(resolve)); // the others go on meanwhile
          }
          return { outcome: "done" };
        },
      );
    } finally {
      for (const spy of spies) spy.mockRestore();
      process.stderr.isTTY = isTTY;
    }
    const isOneLine = (text: string): boolean => text.lastIndexOf("\r") === 0 && !text.includes("\n") && text.endsWith("\x1b[K");
    expect(shown.filter((text) => !isOneLine(text))).toEqual([]);
    const bars = shown.flatMap((text) => / (\S+ k?B) of (\S+ kB)/.exec(text)?.slice(1, 3).join(" of ") ?? []);
    expect(new Set(bars.map((bar) => bar.split(" of ")[1]))).toEqual(new Set(["600 kB"]));
    expect(bars).toContain("600 kB of 600 kB");
    const amounts = bars.map((bar) => Number.parseFloat(bar));
    expect(amounts).toEqual([...amounts].sort((a, b) => a - b));
    expect(shown.at(-1)).toBe("\r\x1b[K");
  });

  test("of each verb over a folder is one bar, on a terminal", async () => {
    for (const folder of ["many", "sealed", "opened"]) mkdirSync(at(folder));
    for (const name of ["one", "two", "three"]) write(`many/${name}`, noise(200_000));
    const [many, sealed, newer] = [at("many"), at("sealed"), at("newer.json")];
    const key = ["--key", keys];
    await ok(["keygen", newer]);
    const shown = (args: readonly string[]): string => {
      const text = onSlowTerminal([...args, "--parallel", "3"]);
      expectOneBar(text);
      return text;
    };
    expect(shown(["encrypt", "--recursive", many, ...key, "--out", sealed])).toContain("3 encrypted");
    expect(shown(["verify", "--recursive", sealed, ...key])).toContain("3 verified");
    expect(shown(["verify", "--recursive", sealed, ...key, "--all"])).toContain("3 verified");
    expect(shown(["decrypt", "--recursive", sealed, ...key, "--out", at("opened")])).toContain("3 decrypted");
    expect(shown(["rewrap", "--recursive", sealed, "--key", newer, ...key])).toContain("3 rewrapped");
    expect(shown(["rewrap", "--recursive", sealed, "--key", newer, ...key])).toContain("3 current");
    expect(shown(["inspect", "--recursive", sealed])).toContain("3 envelope");
  });
});
