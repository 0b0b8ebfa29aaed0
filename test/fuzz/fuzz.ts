import type { Slip } from "../mutants/slips.ts";
import { Random } from "./random.ts";
import { TARGETS } from "./targets.ts";

export interface Finding {
  readonly target: string;
  /** Makes the same case again: `npm run fuzz -- --seed 7 --count 1`. */
  readonly seed: number;
  readonly what: string;
}

/** One case of every target, all of one seed. */
export async function fuzzOnce(seed: number, slip?: Slip): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const [target, run] of Object.entries(TARGETS)) {
    const what = await run(new Random(seed), slip).catch((error: unknown) => `an error of no class: ${told(error)}`);
    if (what !== undefined) findings.push({ target, seed, what });
  }
  return findings;
}

function told(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
