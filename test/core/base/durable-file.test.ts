import { spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { writeDurably } from "../../../src/core/base/durable-file.ts";
import { refusalCode } from "../../support/refusal.ts";

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "envelock-durable-"));
  path = join(folder, "file");
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Two batches, with something done by another user of the folder in between. */
async function* around(meddle: (temporary: string) => void): AsyncGenerator<Uint8Array> {
  yield new TextEncoder().encode("one ");
  const [name = ""] = readdirSync(folder).filter((entry) => entry.endsWith(".tmp"));
  meddle(join(folder, name));
  yield new TextEncoder().encode("two");
}

describe("a file that is replaced", () => {
  test("keeps its mode, and holds all batches", async () => {
    writeFileSync(path, "before");
    chmodSync(path, 0o640);
    await writeDurably(
      path,
      around(() => undefined),
      { overwrite: true, instead: lstatSync(path) },
    );
    expect(readFileSync(path, "utf8")).toBe("one two");
    expect(statSync(path).mode & 0o777).toBe(0o640);
    expect(readdirSync(folder)).toEqual(["file"]);
  });

  test.each<readonly [string, (victim: string) => void]>([
    ["changed", () => writeFileSync(path, "another")],
    [
      "replaced by a file of the same size",
      () => {
        rmSync(path);
        writeFileSync(path, "before");
      },
    ],
    [
      "replaced by a link",
      (victim) => {
        rmSync(path);
        symlinkSync(victim, path);
      },
    ],
    ["removed", () => rmSync(path)],
  ])("and is %s meanwhile is left to the other", async (_what, meddle) => {
    const victim = join(folder, "victim");
    writeFileSync(victim, "victim");
    writeFileSync(path, "before");
    const instead = lstatSync(path);
    const code = await refusalCode(() =>
      writeDurably(
        path,
        around(() => meddle(victim)),
        { overwrite: true, instead },
      ),
    );
    expect(code).toBe("unavailable");
    expect(readFileSync(victim, "utf8")).toBe("victim");
    expect(readdirSync(folder).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });
});

describe("another user of the folder", () => {
  test("cannot get the mode of another file changed by a link in place of the temporary file", async () => {
    const victim = join(folder, "victim");
    writeFileSync(victim, "secret", { mode: 0o600 });
    writeFileSync(path, "before");
    chmodSync(path, 0o666);
    const swap = (temporary: string): void => {
      renameSync(temporary, join(folder, "stolen"));
      symlinkSync(victim, temporary);
    };
    const code = await refusalCode(() => writeDurably(path, around(swap), { overwrite: true, instead: lstatSync(path) }));
    expect(code).toBe("unavailable");
    expect(statSync(victim).mode & 0o777).toBe(0o600);
    expect(readFileSync(path, "utf8")).toBe("before");
  });

  test("cannot redirect the write by a link in place of the folder", async () => {
    const [real, other] = [join(folder, "real"), join(folder, "other")];
    for (const name of [real, other]) mkdirSync(name);
    writeFileSync(join(other, "file"), "precious");
    async function* swapping(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(4);
      renameSync(real, join(folder, "moved"));
      symlinkSync(other, real);
      yield new Uint8Array(4);
    }
    await writeDurably(join(real, "file"), swapping(), { overwrite: true });
    expect(readFileSync(join(other, "file"), "utf8")).toBe("precious");
    expect(readdirSync(join(folder, "moved"))).toEqual(["file"]);
  });
});

describe("a signal in the middle of a write", () => {
  const module = pathToFileURL(join(import.meta.dirname, "../../../src/core/base/durable-file.ts")).href;
  const program = (setup: string): string => `
    import { writeDurably } from ${JSON.stringify(module)};
    ${setup}
    const alive = setInterval(() => undefined, 1000);
    async function* content() { yield new Uint8Array(4); console.log("ready"); await new Promise(() => undefined); }
    await writeDurably(process.argv[1], content(), { overwrite: false });`;

  async function signalled(setup: string, signal: NodeJS.Signals): Promise<readonly [code: number | null, signal: string | null]> {
    const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", program(setup), path], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    child.stdout.once("data", () => child.kill(signal));
    return await new Promise((resolve) => child.on("close", (code, ended) => resolve([code, ended])));
  }

  test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("%s leaves nothing and still ends the process", async (signal) => {
    expect(await signalled("", signal)).toEqual([null, signal]);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("is left to a program that listens itself, and nothing stays once that exits", async () => {
    expect(await signalled(`process.on("SIGTERM", () => setTimeout(() => process.exit(7), 50));`, "SIGTERM")).toEqual([7, null]);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("still ends a program with a listener that wants to be alone", async () => {
    const alone = `process.on("SIGTERM", function end() { if (process.listenerCount("SIGTERM") === 1) { process.off("SIGTERM", end); process.kill(process.pid, "SIGTERM"); } });`;
    expect(await signalled(alone, "SIGTERM")).toEqual([null, "SIGTERM"]);
  });
});

test("no listener stays behind", async () => {
  const before = process.listenerCount("SIGTERM");
  await writeDurably(path, "text", { overwrite: false });
  expect(process.listenerCount("SIGTERM")).toBe(before);
  expect(existsSync(path)).toBe(true);
});
