import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { fuzzOnce } from "./fuzz.ts";

// `npm run fuzz [-- --minutes 10 --seed 1 --count 1000]`: changed structures against the built library, for as long as it takes. A second
// process does the work, so that a case that hangs is found out too.

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    seed: { type: "string" },
    count: { type: "string" },
    work: { type: "boolean", default: false },
  },
});
const seed = Number(values.seed ?? Date.now() % 2 ** 31);
const count = values.count === undefined ? Number.POSITIVE_INFINITY : Number(values.count);

async function work(): Promise<void> {
  const endsAt = Date.now() + 60_000 * Number(values.minutes);
  for (let at = 0; at < count && Date.now() < endsAt; at++) process.send?.({ seed: seed + at, findings: await fuzzOnce(seed + at) });
}

function watch(): void {
  console.log(`seeds from ${seed} on`);
  const worker = fork(fileURLToPath(import.meta.url), [...process.argv.slice(2), "--seed", `${seed}`, "--work"], {
    execArgv: process.execArgv,
  });
  let done = 0;
  let found = 0;
  const hangs = (): void => {
    console.error(`seed ${seed + done}: no end after ${LONGEST_MS / 1000} s`);
    worker.kill("SIGKILL");
    process.exitCode = 1;
  };
  let timer = setTimeout(hangs, LONGEST_MS);
  worker.on("message", ({ findings }: { readonly findings: Awaited<ReturnType<typeof fuzzOnce>> }) => {
    clearTimeout(timer);
    timer = setTimeout(hangs, LONGEST_MS);
    done++;
    for (const { target, seed: at, what } of findings) {
      found++;
      console.error(`seed ${at}, ${target}: ${what}`);
    }
    if (done % 1000 === 0) console.log(`${done} seeds, ${found} findings`);
  });
  worker.on("exit", (code) => {
    clearTimeout(timer);
    console.log(`${done} seeds, ${found} findings`);
    if (found > 0 || code !== 0) process.exitCode = 1;
  });
}

const LONGEST_MS = 60_000;
if (values.work) await work();
else watch();
