import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect } from "vitest";

export const ROOT: string = fileURLToPath(new URL("../..", import.meta.url));
/** The built command: `npm test` builds first. */
export const CLI: string = join(ROOT, "dist/cli.js");

export interface Run {
  /** Undefined if a signal ended it. */
  readonly exitCode: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
  readonly stdout: Uint8Array;
  readonly stderr: string;
  /** `stdout` as text. */
  readonly text: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly command?: string;
  /** Another Node. */
  readonly node?: string;
  /** In place of that of this process. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface RunningCommand {
  /** Gives it a part of standard input, which stays open. */
  feed(bytes: Uint8Array): void;
  /** Ends standard input. */
  end(bytes?: Uint8Array): void;
  /** Stops reading what it writes, as `head` does. */
  leave(): void;
  kill(signal: NodeJS.Signals): void;
  /** The first line that it writes, while it runs on. */
  readonly firstLine: Promise<string>;
  /** Waits until its standard output so far has this in it. */
  hasPrinted(pattern: RegExp): Promise<void>;
  readonly done: Promise<Run>;
}

/** Starts `envelock` as its users do, as a process. */
export function start(
  args: readonly string[],
  { cwd = ROOT, command = CLI, node = process.execPath, env }: RunOptions = {},
): RunningCommand {
  const child = spawn(node, [command, ...args], { cwd, stdio: "pipe", ...(env && { env }) });
  const stdout: Uint8Array[] = [];
  const stderr: Uint8Array[] = [];
  child.stdout.on("data", (chunk: Uint8Array) => stdout.push(chunk));
  const firstLine = new Promise<string>((resolve) => {
    const pieces: Uint8Array[] = [];
    const look = (chunk: Uint8Array): void => {
      const end = chunk.indexOf(LINE_FEED);
      pieces.push(end < 0 ? chunk : chunk.subarray(0, end));
      if (end < 0) return;
      child.stdout.off("data", look);
      resolve(Buffer.concat(pieces).toString("utf8"));
    };
    child.stdout.on("data", look);
  });
  const hasPrinted = (pattern: RegExp): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (!pattern.test(Buffer.concat(stdout).toString("utf8"))) return;
        child.stdout.off("data", look);
        resolve();
      };
      child.stdout.on("data", look);
      look();
    });
  child.stderr.on("data", (chunk: Uint8Array) => stderr.push(chunk));
  child.stdin.on("error", () => {}); // it may end without having read all
  const done = new Promise<Run>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (exitCode, signal) => {
      const output = Buffer.concat(stdout);
      resolve({
        exitCode: exitCode ?? undefined,
        signal: signal ?? undefined,
        stdout: Uint8Array.from(output),
        stderr: Buffer.concat(stderr).toString("utf8"),
        text: output.toString("utf8"),
      });
    });
  });
  return {
    feed: (bytes) => child.stdin.write(bytes),
    end: (bytes) => (bytes === undefined ? child.stdin.end() : child.stdin.end(bytes)),
    leave: () => child.stdout.destroy(),
    kill: (signal) => child.kill(signal),
    firstLine,
    hasPrinted,
    done,
  };
}

export async function run(args: readonly string[], stdin?: Uint8Array, options: RunOptions = {}): Promise<Run> {
  const running = start(args, options);
  running.end(stdin);
  return await running.done;
}

/** Runs what must succeed, in silence on standard error. */
export async function ok(args: readonly string[], stdin?: Uint8Array, options: RunOptions = {}): Promise<Run> {
  const result = await run(args, stdin, options);
  expect(result.stderr).toBe("");
  expect(result.exitCode).toBe(0);
  return result;
}

/** Runs what must fail; the first line of standard error names the code. */
export async function refused(
  exitCode: 1 | 2,
  code: string,
  args: readonly string[],
  stdin?: Uint8Array,
  options: RunOptions = {},
): Promise<Run> {
  const result = await run(args, stdin, options);
  expect(result.stderr.split("\n")[0]).toMatch(new RegExp(`^envelock: ${code}: .`));
  expect(result.exitCode).toBe(exitCode);
  expect(result.stdout).toHaveLength(0);
  return result;
}

/** Runs the command on a pseudo-terminal, which util-linux has a tool for. Returns all that it wrote there. */
export function onTerminal(args: readonly string[], env: NodeJS.ProcessEnv = process.env): string {
  const command = [process.execPath, CLI, ...args].map((part) => `'${part}'`).join(" ");
  return execFileSync("script", ["--quiet", "--return", "--command", `stty cols 120; ${command}`, "/dev/null"], { encoding: "utf8", env });
}

/** Runs the command on a pseudo-terminal with a clock that is 150 ms later whenever it is looked at, so that each step is shown. */
export function onSlowTerminal(args: readonly string[], env: NodeJS.ProcessEnv = process.env): string {
  const clock = "data:text/javascript,let%20nowMs=0;performance.now=()=>nowMs+=150";
  return onTerminal(args, { ...env, NODE_OPTIONS: `--import=${clock}` });
}

/** Expects that a terminal has shown one bar, which never went back and came to its end, and no other. */
export function expectOneBar(shown: string): void {
  const bars = [...shown.matchAll(/\r\[#* *\] +(\d+) % {2}(\S+ \S+) of (\S+ \S+) /g)];
  const percents = bars.map(([, percent]) => Number(percent));
  expect(new Set(bars.map(([, , , total]) => total)).size, shown).toBe(1);
  expect(percents).toEqual([...percents].sort((a, b) => a - b));
  expect(percents.at(-1)).toBe(100);
  expect(bars.at(-1)?.[2]).toBe(bars.at(-1)?.[3]);
}

/** A folder of its own for one test file, removed at the end. */
export function scratch(): Scratch {
  const folder = mkdtempSync(join(tmpdir(), "envelock-test-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const at = (name: string): string => join(folder, name);
  return {
    folder,
    at,
    read: (name) => Uint8Array.from(readFileSync(at(name))),
    write: (name, content) => {
      writeFileSync(at(name), content);
      return at(name);
    },
    names: (inside = ".") => readdirSync(join(folder, inside)).sort(),
  };
}

export interface Scratch {
  readonly folder: string;
  at(name: string): string;
  read(name: string): Uint8Array;
  /** The path of the new file. */
  write(name: string, content: Uint8Array | string): string;
  names(inside?: string): readonly string[];
}

const LINE_FEED = 0x0a;
