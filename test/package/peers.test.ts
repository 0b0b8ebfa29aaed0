import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { MANIFEST } from "./manifest.ts";
import { ORM_VERSIONS } from "./orm-versions.ts";
import { pack } from "./packed.ts";

// What npm says when the packed package is installed in applications that have other versions of the ORMs.

const folder = mkdtempSync(join(tmpdir(), "envelock-peers-"));
let archive = "";
beforeAll(() => {
  archive = join(folder, pack(folder).filename);
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true }));

const { oldest, newest } = ORM_VERSIONS;
test.each<[string, Readonly<Record<string, string>>]>([
  ["the oldest of each", oldest],
  ["the newest of each", newest],
  ["kysely 0.29", { kysely: "0.29.9" }],
  ["drizzle-orm 0.44", { "drizzle-orm": "0.44.7" }],
  ["typeorm 0.3", { typeorm: "0.3.28" }],
])(
  "npm installs it beside %s",
  (name, versions) => {
    const application = join(folder, name.replaceAll(/\W+/g, "-"));
    mkdirSync(application);
    writeFileSync(
      join(application, "package.json"),
      JSON.stringify({ private: true, dependencies: { ...versions, envelock: `file:${archive}` } }),
    );
    const options = ["--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    const { status, stderr } = spawnSync("npm", ["install", ...options], { cwd: application, encoding: "utf8" });
    expect({ status, stderr: stderr.includes("ERESOLVE") ? stderr : "" }).toEqual({ status: 0, stderr: "" });
  },
  180_000,
);

test("the peers begin with the oldest version that the adapters' cases pass on, and TypeORM is none", () => {
  for (const name of ["kysely", "drizzle-orm", "@prisma/client"] as const) {
    expect(MANIFEST.peerDependencies[name]?.split(" ")[0]).toBe(`>=${oldest[name].replace(/\.0$/, "")}`);
  }
  expect(Object.keys(MANIFEST.peerDependencies)).not.toContain("typeorm");
});
