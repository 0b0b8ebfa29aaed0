import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Memory of tenants that are known and in use, and the first use of a tenant that is neither. */
export function tenantsTable(): string {
  const resident = measured("resident", 10_000);
  const known = measured("known", 100_000);
  const cold = measured("cold", 10_000);
  const rows = [
    ["10,000 tenants used once, 2,000 keyrings resident", megabytes(resident), "at most 150 MB"],
    ["100,000 tenants known, none used", megabytes(known), "at most 60 MB"],
    ["first use of a cold tenant, median", `${cold.p50Ms.toFixed(2)} ms`, "at most 2 ms"],
    ["first use of a cold tenant, 99 of 100", `${cold.p99Ms.toFixed(2)} ms`, ""],
    ["the same in processor time", `${cold.cpuP99Ms.toFixed(2)} ms`, "at most 2 ms"],
  ];
  return ["| what | measured | aim |", "|---|---:|---|", ...rows.map((row) => `| ${row.join(" | ")} |`)].join("\n");
}

function megabytes({ bytes, resident, known }: Figures): string {
  return `${(bytes / 1e6).toFixed(1)} MB (${resident} resident, ${known} known)`;
}

interface Figures {
  readonly bytes: number;
  readonly resident: number;
  readonly known: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuP99Ms: number;
}

/** Figures that a line does not measure are NaN. */
function measured(what: string, count: number): Figures {
  const root = fileURLToPath(new URL("../", import.meta.url));
  const child = fileURLToPath(new URL("tenants-child.ts", import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--expose-gc", "--import", "tsx", child, what, `${count}`], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, TSX_TSCONFIG_PATH: ".config/tsconfig.run.json" },
  });
  if (status !== 0) throw new Error(`bench/tenants-child.ts ${what} failed: ${stderr}`);
  const found = new Map<string, unknown>(Object.entries(JSON.parse(stdout)));
  const figure = (name: string): number => Number(found.get(name) ?? Number.NaN);
  const times = { p50Ms: figure("p50Ms"), p99Ms: figure("p99Ms"), cpuP99Ms: figure("cpuP99Ms") };
  return { bytes: figure("bytes"), resident: figure("resident"), known: figure("known"), ...times };
}
