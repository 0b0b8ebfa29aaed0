import { readFileSync } from "node:fs";
import { cpus } from "node:os";

export function describeMachine(): string {
  const [processor] = cpus();
  const today = new Date().toISOString().slice(0, 10);
  return `Node ${process.versions.node}, ${processor?.model ?? "unknown processor"}, ${cpus().length} cores, ${today}`;
}

/**
 * Does `work` and says what else used the processors meanwhile. A virtual machine whose host takes time away is slow in ways that no
 * repetition evens out: threads then seem to gain nothing, and CPU time is the figure to trust.
 */
export async function withStolenTime(work: () => string | Promise<string>): Promise<string> {
  const before = processorTicks();
  const result = await work();
  const after = processorTicks();
  if (before === undefined || after === undefined) return result;
  const share = (after.stolen - before.stolen) / (after.all - before.all);
  return `${result}\n\nStolen by the host of this virtual machine meanwhile: ${(share * 100).toFixed(1)} % of the processors' time.`;
}

/** proc(5): the first line of /proc/stat counts user, nice, system, idle, iowait, irq, softirq and steal. Undefined elsewhere. */
function processorTicks(): { readonly stolen: number; readonly all: number } | undefined {
  if (process.platform !== "linux") return undefined;
  const [line = ""] = readFileSync("/proc/stat", "utf8").split("\n");
  const counts = line.split(/\s+/).slice(1, 9).map(Number);
  return { stolen: counts[7] ?? 0, all: counts.reduce((sum, count) => sum + count, 0) };
}
