import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { EQUIVALENT } from "./equivalent.ts";
import type { Answer, Order } from "./mutant-runner.ts";
import { type Mutation, mutationsOf } from "./mutations.ts";
import { rootPath } from "./root.ts";

// `npm run mutants [-- --sample 50 --seed 1 path… path:line…]`: how much of a change the tests of the core notice. Prints each mutation
// that they let pass, and the share of those that they found. It takes minutes to hours: a second or two for each that the first tests
// find, ten and more for each that passes.

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sample: { type: "string" },
    seed: { type: "string", default: "1" },
    list: { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
  },
});
async function main(): Promise<void> {
  const paths = positionals.length > 0 ? positionals : DEFAULT_PATHS;
  const all = paths.flatMap(mutationsAt);
  const wanted = all.filter(({ path, mutation }) => !isEquivalent(path, mutation));
  const chosen = values.sample === undefined ? wanted : sampled(wanted, Number(values.sample), Number(values.seed));
  console.log(
    `${all.length} mutations of ${paths.length} files, ${all.length - wanted.length} of them equivalent, ${chosen.length} to run`,
  );
  if (!values.list) process.exitCode = (await runAll(chosen)) ? 0 : 1;
  else for (const { path, mutation } of chosen) console.log(told(path, mutation));
}

interface Chosen {
  readonly path: string;
  readonly mutation: Mutation;
}

/** The mutations of a file, or with `path:line` of one line of it. */
function mutationsAt(argument: string): readonly Chosen[] {
  const [path = "", line] = argument.split(":");
  const mutations = mutationsOf(readFileSync(rootPath(path), "utf8"));
  return mutations.filter((mutation) => line === undefined || mutation.line === Number(line)).map((mutation) => ({ path, mutation }));
}

async function runAll(chosen: readonly Chosen[]): Promise<boolean> {
  let runner = await startRunner();
  let longestMs = await mustPass(runner);
  const survivors: string[] = [];
  for (const [at, { path, mutation }] of chosen.entries()) {
    const answer = await answerOf(runner, { path, text: mutation.text, tests: TESTS }, longestMs);
    if (answer === undefined) {
      if (values.verbose) console.log(`hangs: ${told(path, mutation)}`);
      runner.kill("SIGKILL"); // a mutation that hangs was noticed
      runner = await startRunner();
    } else if (answer.failed === undefined) {
      survivors.push(told(path, mutation));
      console.log(`survives: ${told(path, mutation)}`);
    } else if (values.verbose) console.log(`found by ${answer.failed}: ${told(path, mutation)}`);
    if (at % 20 === 19) console.log(`${at + 1} of ${chosen.length}, ${survivors.length} survive`);
    if (at % 40 === 39) longestMs = await mustPass(runner);
  }
  runner.kill();
  const share = 1 - survivors.length / Math.max(1, chosen.length);
  console.log(`${chosen.length - survivors.length} of ${chosen.length} found: ${(100 * share).toFixed(1)} %`);
  return share >= LEAST_SHARE;
}

/**
 * Runs the tests without a mutation: a runner that fails then would count every mutation as found.
 *
 * @returns the time after which a mutation hangs: on a machine that is busy, a fixed one would take those that pass for found
 */
async function mustPass(runner: ChildProcess): Promise<number> {
  const startedMs = performance.now();
  const healthy = await answerOf(runner, { path: DEFAULT_PATHS[0] ?? "", text: undefined, tests: TESTS }, LONGEST_HEALTHY_MS);
  if (healthy === undefined || healthy.failed !== undefined) {
    throw new Error(`the tests fail without a mutation: ${healthy?.failed ?? "they take too long"}`);
  }
  return LEAST_HANG_MS + Math.ceil(3 * (performance.now() - startedMs));
}

async function startRunner(): Promise<ChildProcess> {
  const runner = fork(rootPath("test/mutants/mutant-runner.ts"), {
    execArgv: ["--import", "tsx"],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  await once(runner, "message");
  return runner;
}

/** What the runner answers, or undefined if it takes too long. */
async function answerOf(runner: ChildProcess, order: Order, longestMs: number): Promise<Answer | undefined> {
  const answer = once(runner, "message", { signal: AbortSignal.timeout(longestMs) });
  runner.send(order);
  try {
    const [found] = await answer;
    return found;
  } catch {
    return undefined;
  }
}

function isEquivalent(path: string, { before, after }: Mutation): boolean {
  return EQUIVALENT.some((known) => known.path === path && known.before === before && (known.after === undefined || known.after === after));
}

function told(path: string, { line, before, after }: Mutation): string {
  return `${path}:${line}\n    ${before}\n    ${after}`;
}

/** A part that is the same for the same seed. */
function sampled<T>(items: readonly T[], count: number, seed: number): readonly T[] {
  const random = (at: number): number => (Math.imul((at + 1) ^ (seed * 0x9e3779b1), 0x85ebca6b) ^ (at << 7)) >>> 0;
  return items
    .map((item, at) => ({ item, at, order: random(at) }))
    .sort((a, b) => a.order - b.order)
    .slice(0, count)
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

const DEFAULT_PATHS: readonly string[] = [
  "src/core/contracts/suite.ts",
  "src/core/format/cbor.ts",
  "src/core/format/envelope.ts",
  "src/core/format/key-record.ts",
  "src/core/format/parts.ts",
  "src/core/format/recipient.ts",
  "src/core/format/succession.ts",
  "src/core/format/token.ts",
  "src/core/data-key/body.ts",
  "src/core/data-key/data-key.ts",
  "src/core/data-key/succession.ts",
  "src/core/crypto/body-sizes.ts",
  "src/core/crypto/cobblestone.ts",
  "src/core/crypto/double-block.ts",
  "src/core/crypto/hkdf.ts",
  "src/core/crypto/xaes.ts",
  "providers/composite/both-of.ts",
  "providers/composite/outer-key.ts",
  "providers/composite/parts.ts",
  "providers/composite/rewrap-half.ts",
  "providers/composite/shamir.ts",
  "providers/composite/threshold.ts",
];

/** In the order in which they are run: those that notice most in the least time first. */
const TESTS: readonly (readonly string[])[] = [
  ["test/core/format-borders.test.ts", "test/core/cbor-profile.test.ts", "test/core/vectors/xaes.test.ts", "test/core/tokens.test.ts"],
  [
    "test/providers/composite/shamir.test.ts",
    "test/providers/composite/vectors.test.ts",
    "test/providers/composite/both-of.test.ts",
    "test/providers/composite/threshold.test.ts",
    "test/providers/composite/conformance.test.ts",
  ],
  ["test/core/chunks-at-once.test.ts", "test/core/vectors/cobblestone.test.ts"],
  ["test/core/format-vectors.test.ts", "test/core/vectors/hashing.test.ts", "test/core/succession.test.ts", "test/core/wiping.test.ts"],
  ["test/core/format-rules.test.ts", "test/core/rewrap.test.ts", "test/core/format-order.test.ts", "test/core/hostile-headers.test.ts"],
  [
    "test/core/format-range-vectors.test.ts",
    "test/core/secrecy.test.ts",
    "test/core/randomness.test.ts",
    "test/core/ownership.test.ts",
    "test/core/round-trip.test.ts",
    "test/core/commitment.test.ts",
    "test/core/stream/round-trip.test.ts",
    "test/core/stream/seekable.test.ts",
    "test/core/stream/upload.test.ts",
  ],
];
const LONGEST_HEALTHY_MS = 900_000;
const LEAST_HANG_MS = 60_000;
const LEAST_SHARE = 0.92;

await main();
