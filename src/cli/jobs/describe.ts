import type { JobStatus } from "../../jobs/index.ts";
import { columns, countText } from "../columns.ts";
import { progressText } from "../progress.ts";
import { terminalText } from "../terminal-text.ts";

/** One line: the phase, a bar, the rate of the whole fleet, the time left, what failed. */
export function fleetLine(status: JobStatus, width: number): string {
  const { phase, counts, expectedRows, rowsPerSecond, kind } = status;
  const { rows = 0, failed = 0 } = counts;
  const elapsedMs = rowsPerSecond > 0 ? (rows / rowsPerSecond) * 1000 : 0;
  const before = `${phase}  `;
  const after = failed > 0 ? `  ${failed} failed` : "";
  return `${before}${progressText(rows, expectedRows, elapsedMs, width - before.length - after.length, countOf(kind))}${after}`;
}

/** Names so many rows of the table of a job. */
function countOf(kind: string): (rows: number) => string {
  const [, one = "row"] = ROWS.find(([beginning]) => kind.startsWith(beginning)) ?? [];
  return (rows) => countText(Math.round(rows), one);
}

/**
 * The account of a job, as lines.
 *
 * @param width of the terminal, which gets a plot of the partitions; undefined where there is none
 */
export function statusText(status: JobStatus, width?: number): string {
  const { id, state, phase, round, partitions, counts, retryInMs, report } = status;
  const { total, done, held, free } = partitions;
  const facts = [
    ["job", terminalText(id)],
    ["state", retryInMs > 0 ? `${state}, next round in ${Math.ceil(retryInMs / 1000)} s` : state],
    ["phase", `${phase} of round ${round}`],
    ["partitions", `${total}: ${done} done, ${held} held, ${free} free`],
    ...Object.entries(counts).map(([name, count]) => [terminalText(name), `${count}`]),
  ];
  const parts = [columns(facts)];
  if (state === "running") parts.push(fleetLine(status, width ?? 80));
  if (width !== undefined && total > 0) parts.push(plot(status, width));
  if (status.failures.length > 0) parts.push(failuresTable(status));
  if (report !== null) parts.push(reportTable(report));
  return parts.join("\n\n");
}

/** A character for each partition, in the order of the table. */
function plot({ ranges }: JobStatus, width: number): string {
  const marks = ranges.map(({ state, failed }) => (failed > 0 ? "!" : MARKS[state])).join("");
  const room = Math.max(16, Math.min(64, width - 2));
  const lines = marks.match(new RegExp(`.{1,${room}}`, "g")) ?? [];
  return `${lines.join("\n")}\n# done  > held by a worker  . free  ! with failures`;
}

function failuresTable({ failures }: JobStatus): string {
  const rows = failures.map(({ code, tenant, entries, tries, message }) => [
    code,
    terminalText(tenant ?? "-"),
    `${entries}`,
    `${tries}`,
    terminalText(message).slice(0, 100),
  ]);
  return columns([["failure", "tenant", "entries", "tries", "message"], ...rows]);
}

function reportTable({ keyVersions, retirable, sha256 }: NonNullable<JobStatus["report"]>): string {
  const rows = keyVersions.map(({ provider, keyId, before, after }) => [
    terminalText(provider),
    terminalText(keyId),
    `${before}`,
    `${after}`,
    retirable.some((version) => version.provider === provider && version.keyId === keyId) ? "retirable" : "",
  ]);
  return `${columns([["provider", "key id", "before", "after", ""], ...rows])}\n\nreport  sha256 ${sha256}`;
}

const ROWS: readonly (readonly [beginning: string, one: string])[] = [
  ["rewrap-keys/", "key"],
  ["rewrap-blobs/", "blob"],
];
const MARKS = { done: "#", held: ">", free: "." } as const;
