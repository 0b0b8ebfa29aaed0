import { deepStrictEqual } from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildIn, type Job, type Sealed, type Work, workOf } from "./builds.ts";
import { type Contest, runContest, tableOf } from "./harness.ts";

/**
 * The package as it is against the package at a commit, both built, in one process: tokens, fields and envelopes. Each first opens what the
 * other made.
 *
 * @param rev a name of the commit that git knows
 */
export async function compareTable(rev: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "envelock-bench-"));
  const before = join(folder, "before");
  try {
    git("worktree", "add", "--quiet", "--detach", before, rev);
    symlinkSync(join(ROOT, "node_modules"), join(before, "node_modules"));
    execFileSync("npm", ["run", "build"], { cwd: before, stdio: ["ignore", "ignore", "inherit"] });
    const [old, present] = [await buildIn(before), await buildIn(ROOT)];
    const store = present.memoryStore(); // one for both, so that they have one data key
    const rows = [];
    for (const contest of contestsOf(await workOf(old, store, rev), await workOf(present, store, "now"))) {
      rows.push(...(await runContest(contest)));
    }
    return tableOf(rows);
  } finally {
    git("worktree", "remove", "--force", before);
    rmSync(folder, { recursive: true });
  }
}

function contestsOf(old: Work, present: Work): readonly Contest[] {
  return present.jobs.flatMap((own, place) => {
    const before = old.jobs[place] ?? own;
    let sealed: { readonly own: Sealed; readonly before: Sealed } = { own: "", before: "" };
    const prove = async (): Promise<void> => {
      sealed = { own: await own.seal(), before: await before.seal() };
      deepStrictEqual(Buffer.from(await own.open(sealed.before)), Buffer.from(own.plaintext));
      deepStrictEqual(Buffer.from(await before.open(sealed.own)), Buffer.from(own.plaintext));
    };
    const contest = (what: string, run: (job: Job) => unknown): Contest => ({
      name: `${own.name}, ${what}`,
      prove,
      baseline: { name: old.name, run: () => run(before) },
      contestants: [{ name: present.name, run: () => run(own) }],
    });
    return [contest("encrypt", (job) => job.seal()), contest("decrypt", (job) => job.open(sealed.own))];
  });
}

function git(...args: readonly string[]): void {
  execFileSync("git", args, { cwd: ROOT, stdio: ["ignore", "ignore", "inherit"] });
}

const ROOT = fileURLToPath(new URL("..", import.meta.url));
