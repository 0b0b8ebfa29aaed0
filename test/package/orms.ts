import { spawnSync } from "node:child_process";
import { dirname } from "node:path";
import { installed } from "../support/npm-tools.ts";
import { ROOT } from "./imports.ts";
import { ORM_VERSIONS } from "./orm-versions.ts";

// npm run test:orms [oldest newest]: the adapters' cases on the oldest and the newest versions of the ORMs, which are fetched from npm once.

const asked = process.argv.slice(2);
const failed: string[] = [];
for (const [end, versions] of Object.entries(ORM_VERSIONS)) {
  if (asked.length > 0 && !asked.includes(end)) continue;
  const [first, ...others] = Object.entries(versions).map(([name, version]) => `${name}@${version}`);
  if (first === undefined) continue;
  console.log(`\n== ${end}: ${[first, ...others].join(" ")}`);
  const folder = dirname(installed("orms", [first, ...others]));
  const vitest = ["node_modules/vitest/vitest.mjs", "run", "--config", ".config/vitest.config.ts", "--project=node", "--project=database"];
  const tests = ["kysely", "drizzle", "typeorm", "prisma"].map((name) => `test/database/${name}.test.ts`);
  const { status } = spawnSync(process.execPath, [...vitest, ...tests, "test/integrations/kysely-rules.test.ts"], {
    cwd: ROOT,
    stdio: "inherit",
    env: { ...process.env, ENVELOCK_ORMS: folder },
  });
  if (status !== 0) failed.push(end);
}
if (failed.length > 0) console.log(`\nfailed: ${failed.join(", ")}`);
process.exitCode = failed.length > 0 ? 1 : 0;
