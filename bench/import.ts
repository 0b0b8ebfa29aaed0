import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { median } from "./harness.ts";

/** What importing the package costs over an empty module: whole processes, in turn, medians. */
export function importTable(): string {
  const folder = mkdtempSync(join(import.meta.dirname, ".import-")); // inside the package, so that it finds itself by name
  try {
    const entries = ENTRIES.map((entry, place) => {
      const file = join(folder, `${place}.mjs`);
      writeFileSync(
        file,
        `${entry
          .split(" + ")
          .map((name) => name && `import "${name}";\n`)
          .join(
            "",
          )}const { user, system } = process.cpuUsage(); console.log(JSON.stringify([performance.now(), process.memoryUsage().rss, user + system]));\n`,
      );
      return { entry: entry || "(empty module)", file, milliseconds: [] as number[], megabytes: [] as number[], cpu: [] as number[] };
    });
    for (let run = 0; run < RUNS; run++) {
      for (const { file, milliseconds, megabytes, cpu } of entries) {
        const [time = Number.NaN, rss = Number.NaN, busy = Number.NaN]: number[] = JSON.parse(
          execFileSync(process.execPath, [file], { encoding: "utf8" }),
        );
        milliseconds.push(time);
        megabytes.push(rss / 1e6);
        cpu.push(busy / 1000);
      }
    }
    const [empty] = entries;
    const lines = entries.map(({ entry, milliseconds, megabytes, cpu }) => {
      const time = median(milliseconds.map((value, run) => value - (empty?.milliseconds[run] ?? 0)));
      const rss = median(megabytes.map((value, run) => value - (empty?.megabytes[run] ?? 0)));
      const busy = median(cpu.map((value, run) => value - (empty?.cpu[run] ?? 0)));
      return `| ${entry} | ${median(milliseconds).toFixed(1)} | ${time.toFixed(1)} | ${busy.toFixed(1)} | ${rss.toFixed(1)} |`;
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

const RUNS = 15;
const KEY_SERVICES = ["aws-kms", "gcp-kms", "vault"].map((name) => `envelock + envelock/providers/${name}`);
const ENTRIES: readonly string[] = ["", "envelock", "envelock/providers/local", ...KEY_SERVICES];
