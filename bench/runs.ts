import { execFile } from "node:child_process";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

// Runs in processes of their own: what the parent starts, and what the child measures.

export interface Run {
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** The peak of the whole process. */
  readonly rssBytes: number;
}

/** In the parent: runs a script of this folder. Returns what it printed. */
export async function outputOf(script: string, ...args: readonly string[]): Promise<string> {
  return await outputIn({}, script, ...args);
}

/** What a child runs in, where that is not what its parent runs in. */
export interface Surroundings {
  /** The file of another Node. */
  readonly node?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Runs a script like `outputOf`, in other surroundings. */
async function outputIn({ node = process.execPath, env }: Surroundings, script: string, ...args: readonly string[]): Promise<string> {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const { stdout } = await promisify(execFile)(node, ["--import", "tsx", path, ...args], { env: { ...process.env, ...env } });
  return stdout;
}

/** In the parent: runs a script that measures, in other surroundings. A script that prints nothing has measured nothing. */
export async function runIn(surroundings: Surroundings, script: string, ...args: readonly string[]): Promise<Run> {
  const printed = await outputIn(surroundings, script, ...args);
  return printed === "" ? NO_RUN : JSON.parse(printed);
}

/** In the child: measures the work. */
export async function timedRun(work: () => Promise<unknown>): Promise<Run> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  await work();
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { seconds, cpuSeconds: (user + system) / 1e6, rssBytes: process.resourceUsage().maxRSS * 1024 };
}

/** The same pieces for all contestants. */
export function generated(length: number): Readable {
  const piece = Buffer.alloc(PIECE_BYTES, "envelock");
  let left = length;
  return new Readable({
    highWaterMark: PIECE_BYTES,
    read() {
      const next = Math.min(left, PIECE_BYTES);
      left -= next;
      this.push(next === 0 ? null : piece.subarray(0, next));
    },
  });
}

export const PIECE_BYTES = 65_536;

const NO_RUN: Run = { seconds: 0, cpuSeconds: 0, rssBytes: 0 };
