import { randomBytes } from "node:crypto";
import { existsSync, lstatSync, mkdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { inPlaceOf, openOutput } from "../../src/cli/output.ts";
import { inspect } from "../../src/core/keyring/inspect.ts";
import { refusalCode } from "../support/refusal.ts";
import { ok, type RunningCommand, refused, scratch, start } from "./runner.ts";

const { at, read, write, names } = scratch();
const keys = at("keys.json");
const plaintext = Uint8Array.from(randomBytes(24 * 2 ** 20));

beforeAll(async () => {
  await ok(["keygen", keys]);
  await ok(["encrypt", write("plain", plaintext), "--key", keys, "--out", at("envelope")]);
});

describe("a command that is killed while its target is being written", () => {
  // rewrap writes on as its input comes in, so that a pipe that is kept open holds it in the middle
  async function inTheMiddle(folder: string, options: readonly string[] = []): Promise<RunningCommand> {
    const command = start(["rewrap", "-", "--key", keys, "--out", at(`${folder}/target`), ...options]);
    command.feed(read("envelope").subarray(0, 2 ** 20));
    while (temporaryIn(folder).length === 0) await sleep(5);
    return command;
  }

  test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("by %s leaves nothing", async (signal) => {
    mkdirSync(at(signal));
    const command = await inTheMiddle(signal);
    command.kill(signal);
    expect(await command.done).toMatchObject({ signal, exitCode: undefined });
    expect(names(signal)).toEqual([]);
  });

  test("by SIGKILL leaves nothing under the target's name", async () => {
    mkdirSync(at("killed"));
    const command = await inTheMiddle("killed");
    command.kill("SIGKILL");
    expect(await command.done).toMatchObject({ signal: "SIGKILL" });
    expect(names("killed")).toEqual(temporaryIn("killed"));
  });

  test.each(["SIGTERM", "SIGKILL"] as const)("by %s leaves the file that it was to replace", async (signal) => {
    const folder = `replace-${signal}`;
    mkdirSync(at(folder));
    write(`${folder}/target`, "old");
    const command = await inTheMiddle(folder, ["--force"]);
    command.kill(signal);
    await command.done;
    expect(new TextDecoder().decode(read(`${folder}/target`))).toBe("old");
  });
});

test.each([0, 1, 2, 4, 8, 16])("decrypt, killed %i ms after it began to write, leaves all or nothing", async (delayMs) => {
  const folder = `decrypt-${delayMs}`;
  mkdirSync(at(folder));
  const command = start(["decrypt", at("envelope"), "--key", keys, "--out", at(`${folder}/target`)]);
  while (names(folder).length === 0) await sleep(1);
  await sleep(delayMs);
  command.kill("SIGKILL");
  await command.done;
  if (existsSync(at(`${folder}/target`))) expect(Buffer.compare(read(`${folder}/target`), plaintext)).toBe(0);
});

test.each(["decrypt", "rewrap"])("%s of an input that ends too early leaves nothing", async (verb) => {
  const folder = `early-${verb}`;
  mkdirSync(at(folder));
  const envelope = read("envelope");
  const inspection = inspect(envelope);
  const headerBytes = "headerBytes" in inspection ? inspection.headerBytes : 0;
  const inTheLastTag = headerBytes + 56 + 1_000 * 16_400 + 8; // docs/format.md §6: no body has this length
  await refused(1, "malformed-envelope", [verb, "-", "--key", keys, "--out", at(`${folder}/target`)], envelope.subarray(0, inTheLastTag));
  expect(names(folder)).toEqual([]);
});

describe("somebody else", () => {
  async function* whileWriting(meddle: () => void): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(10);
    meddle();
    yield new Uint8Array(10);
  }

  test("who makes the target meanwhile keeps it", async () => {
    mkdirSync(at("race"));
    const output = openOutput({ out: at("race/target") }, 0o600);
    expect(await refusalCode(() => output(whileWriting(() => write("race/target", "theirs"))))).toBe("invalid-argument");
    expect(new TextDecoder().decode(read("race/target"))).toBe("theirs");
    expect(names("race")).toEqual(["target"]);
  });

  test("who changes a file that is rewrapped in place keeps the change", async () => {
    mkdirSync(at("shared"));
    const file = write("shared/target", "before");
    const output = inPlaceOf(file, lstatSync(file));
    expect(await refusalCode(() => output(whileWriting(() => write("shared/target", "theirs, later"))))).toBe("unavailable");
    expect(new TextDecoder().decode(read("shared/target"))).toBe("theirs, later");
    expect(names("shared")).toEqual(["target"]);
  });

  test("sees no plaintext on the way: the temporary file has the final mode", async () => {
    mkdirSync(at("private"));
    const modes: number[] = [];
    const look = (): void => {
      for (const name of temporaryIn("private")) modes.push(lstatSync(at(`private/${name}`)).mode & 0o777);
    };
    await openOutput({ out: at("private/target") }, 0o600)(whileWriting(look));
    expect(modes).toEqual([0o600]);
  });
});

function temporaryIn(folder: string): readonly string[] {
  return names(folder).filter((name) => name.startsWith(".envelock-"));
}
