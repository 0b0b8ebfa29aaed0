import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { median } from "./harness.ts";

/** What importing the package costs over an empty module: whole processes, in turn, medians. */
export function importTable(): string {
  const folder = mkdtempSync(join(import.meta.dirname, ".import-")); // inside the package, so that it finds itself by name
  try {
    const entries = ENTRIES.map((names, place) => {
      const file = join(folder, `${place}.mjs`);
      writeFileSync(file, [...names.map((name) => `import "${name}";`), REPORT].join("\n"));
      return { name: names.join(" + ") || "(empty module)", file, figures: [] as Figures[] };
    });
    for (let run = 0; run < RUNS; run++) {
      for (const { file, figures } of entries) figures.push(JSON.parse(execFileSync(process.execPath, [file], { encoding: "utf8" })));
    }
    const empty = entries[0]?.figures ?? [];
    const lines = entries.map(({ name, figures }) => {
      const overEmpty = (figure: keyof Figures): string =>
        median(figures.map((own, run) => own[figure] - (empty[run]?.[figure] ?? 0))).toFixed(1);
      const fromStart = median(figures.map(({ ms }) => ms)).toFixed(1);
      return `| ${name} | ${fromStart} | ${overEmpty("ms")} | ${overEmpty("cpuMs")} | ${overEmpty("megabytes")} |`;
    });
    return [
      "| import | ms from start | ms over empty | CPU ms over empty | RSS MB over empty |",
      "| --- | ---: | ---: | ---: | ---: |",
      ...lines,
    ].join("\n");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Figures {
  readonly ms: number;
  readonly cpuMs: number;
  readonly megabytes: number;
}

/** The end of each program, which prints its `Figures`. */
const REPORT = `const ms = performance.now();
const { user, system } = process.cpuUsage();
console.log(JSON.stringify({ ms, cpuMs: (user + system) / 1000, megabytes: process.memoryUsage().rss / 1e6 }));
`;
const RUNS = 15;
const KEY_SERVICES = ["aws-kms", "gcp-kms", "vault"].map((name) => ["envelock", `envelock/providers/${name}`]);
const ENTRIES: readonly (readonly string[])[] = [[], ["envelock"], ["envelock/providers/local"], ...KEY_SERVICES];
