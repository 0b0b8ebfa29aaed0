import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const MODES = [
  ["hot", "1,000 encryptions a second, each a call of its key"],
  ["hot", "the same with `node --max-semi-space-size=64`", "--max-semi-space-size=64"],
  ["bare", "a control: 1,000 such requests a second by `httpsFetch`, without Envelock, also for the quiet ones"],
  ["cached", "1,000 decryptions a second under a data key in memory"],
  ["hangs", "its key service never answers, 100 calls a second"],
  ["throttles", "its key service answers 429, 1,000 calls a second"],
  ["huge", "its key service answers 65 MB, 20 calls a second"],
] as const;

/** What a hundred quiet tenants notice of one that is not quiet: alone and beside it in turns, within one process each. */
export function fairnessTable(): string {
  const rows = MODES.map(([mode, what, ...flags]) => {
    const { alone, beside, ratio } = measured(mode, flags);
    return `| ${what} | ${alone.toFixed(1)} ms | ${beside.toFixed(1)} ms | ${ratio.toFixed(2)} |`;
  });
  return ["| the tenant that is not quiet | p99 of the quiet ones, alone | beside it | ratio |", "|---|---:|---:|---:|", ...rows].join(
    "\n",
  );
}

interface Figures {
  readonly alone: number;
  readonly beside: number;
  readonly ratio: number;
}

function measured(mode: string, flags: readonly string[]): Figures {
  const root = fileURLToPath(new URL("../", import.meta.url));
  const child = fileURLToPath(new URL("tenants-fairness-child.ts", import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, "--import", "tsx", child, mode], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, TSX_TSCONFIG_PATH: ".config/tsconfig.run.json" },
  });
  if (status !== 0) throw new Error(`bench/tenants-fairness-child.ts ${mode} failed: ${stderr}`);
  const found: { alone: { p99Ms: number }; beside: { p99Ms: number }; ratio: number } = JSON.parse(stdout);
  return { alone: found.alone.p99Ms, beside: found.beside.p99Ms, ratio: found.ratio };
}
