import { deepStrictEqual } from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { applicationWithNative, installNative } from "../test/support/native-package.ts";
import { runtimeBinary } from "../test/support/npm-tools.ts";
import { buildIn, type Sealed, type Work, workOf } from "./builds.ts";
import { byHand, type OtherWay, otherWays } from "./engine-contestants.ts";
import { type Contest, type Contestant, type Row, runContest } from "./harness.ts";

/** The rows on this Node, and on the other one that is supported and widely used, each in a process of its own. */
export function enginesTable(): string {
  return [process.execPath, runtimeBinary("node-22")]
    .map((node) =>
      execFileSync(node, [...process.execArgv, MAIN, "engine-rows"], { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }),
    )
    .join("\n");
}

/**
 * Tokens, text fields and envelopes by a whole build of the package on each engine that Node has, all in one process beside node:crypto by
 * hand and other packages.
 */
export async function engineRowsTable(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "envelock-engines-"));
  try {
    const builds = ENGINES.map((engine) => ({ engine, folder: installedBuild(folder, engine) }));
    const [first, ...rest] = await Promise.all(builds.map(async ({ engine, folder }) => ({ engine, build: await buildIn(folder) })));
    if (first === undefined) throw new Error("there is no engine");
    const store = first.build.memoryStore(); // one for all, so that they have one data key
    const works = await Promise.all([first, ...rest].map(({ engine, build }) => workOf(build, store, engine.name)));
    const rows: Row[] = [];
    for (const contest of await contestsOf(works)) rows.push(...(await runContest(contest)));
    return tableOf(rows);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Rows inserted through Drizzle in batches, on each engine in a process of its own. */
export function insertTables(): string {
  const application = applicationWithNative();
  try {
    const tables = ENGINES.map(({ name, flags, hasNative }) => {
      const { NODE_PATH: _, ...rest } = process.env;
      const given = { BENCH_INSERT_AT_ONCE: "1000", ...rest };
      const env = hasNative ? { ...given, NODE_PATH: join(application, "node_modules") } : given;
      const output = execFileSync(process.execPath, [...process.execArgv, ...flags, MAIN, "field-insert"], { encoding: "utf8", env });
      return output.replace(/^[\s\S]*## field-insert/, `### ${name}`).trim();
    });
    return tables.join("\n\n");
  } finally {
    rmSync(application, { recursive: true });
  }
}

interface BenchedEngine {
  /** The name that `engineInfo()` has for it. */
  readonly name: string;
  /** The file of `dist/engine`. */
  readonly file: string;
  /** What makes Node take it. */
  readonly flags: readonly string[];
  readonly hasNative: boolean;
}

/** Copies the build into an application of its own, whose `#engine` is always that one. */
function installedBuild(parent: string, { name, file, hasNative }: BenchedEngine): string {
  const application = join(parent, name);
  const folder = join(application, "node_modules/envelock");
  mkdirSync(folder, { recursive: true });
  cpSync(join(ROOT, "dist"), join(folder, "dist"), { recursive: true, filter: (path) => !path.endsWith(".map") });
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  manifest.imports["#engine"] = `./dist/engine/${file}.js`;
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
  if (hasNative) installNative(application);
  return folder;
}

/** Every engine opens what every other one made, and every other way what it made itself, before anything is timed. */
async function contestsOf(works: readonly Work[]): Promise<readonly Contest[]> {
  const contests = (works[0]?.jobs ?? []).map(async (one, place): Promise<readonly Contest[]> => {
    const jobs = works.flatMap(({ name, jobs }) => jobs.slice(place, place + 1).map((job) => ({ ...job, name: `envelock, ${name}` })));
    const hand = byHand(one);
    const others = await otherWays(one);
    const prove = async (): Promise<void> => {
      for (const job of jobs) for (const other of jobs) await proveOpens(other, await job.seal(), one.plaintext);
      for (const other of [hand, ...others]) await proveOpens(other, await other.seal(), one.plaintext);
    };
    const sealing = ({ name, seal }: OtherWay): Contestant => ({ name, run: seal });
    const opening = async ({ name, seal, open }: OtherWay): Promise<Contestant> => {
      const sealed = await seal();
      return { name, run: () => open(sealed) };
    };
    const all = [...jobs, ...others];
    return [
      { name: `${one.name}, encrypt`, prove, baseline: sealing(hand), contestants: all.map(sealing) },
      { name: `${one.name}, decrypt`, prove, baseline: await opening(hand), contestants: await Promise.all(all.map(opening)) },
    ];
  });
  return (await Promise.all(contests)).flat();
}

async function proveOpens({ name, open }: OtherWay, sealed: Sealed, plaintext: Sealed): Promise<void> {
  deepStrictEqual(Buffer.from(await open(sealed)), Buffer.from(plaintext), name);
}

/** A line for each contest, a column for each contestant: processor time against the baseline. */
function tableOf(rows: readonly Row[]): string {
  const names = [...new Set(rows.map(({ contestant }) => contestant))];
  const lines = [...new Set(rows.map(({ contest }) => contest))].map((contest) => {
    const cells = names.map((name) => {
      const row = rows.find((one) => one.contest === contest && one.contestant === name);
      return row === undefined ? "" : row.cpuRatio === 1 ? `${row.microseconds.toFixed(2)} µs` : row.cpuRatio.toFixed(2);
    });
    return `| ${contest} | ${cells.join(" | ")} |`;
  });
  return [`| | ${names.join(" | ")} |`, `| --- |${" ---: |".repeat(names.length)}`, ...lines].join("\n");
}

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));
const ROOT = fileURLToPath(new URL("..", import.meta.url));
const ENGINES: readonly BenchedEngine[] = [
  { name: "node", file: "node-crypto", flags: ["--conditions=envelock-node"], hasNative: false },
  { name: "node-wasm", file: "node-wasm", flags: ["--conditions=envelock-wasm"], hasNative: false },
  { name: "node-native", file: "node", flags: [], hasNative: true },
];
