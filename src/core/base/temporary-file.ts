import { rmSync } from "node:fs";
import process from "node:process";

/**
 * Removes a temporary file if the process ends before the file got its final name.
 *
 * A signal that nothing else listens to removes the file and then does what it would have done. Where the program listens itself, its
 * listener decides; the file then goes when the program exits. Nothing is left in place once no temporary file is pending.
 *
 * @returns a function that takes the file off the list: call it once the file is placed or removed
 */
export function removeIfEnded(path: string): () => void {
  if (pending.size === 0) listen();
  pending.add(path);
  return () => {
    pending.delete(path);
    if (pending.size === 0) unlisten();
  };
}

function listen(): void {
  for (const signal of ENDING_SIGNALS) process.prependListener(signal, endedBy);
  process.prependListener("exit", removeAll);
}

function unlisten(): void {
  for (const signal of ENDING_SIGNALS) process.off(signal, endedBy);
  process.off("exit", removeAll);
}

/** Steps aside before the others are called: some of them end the process only if they find themselves alone. */
function endedBy(signal: NodeJS.Signals): void {
  unlisten();
  if (process.listenerCount(signal) === 0) {
    removeAll();
    process.kill(process.pid, signal);
    return;
  }
  process.prependListener("exit", removeAll);
  setImmediate(() => {
    unlisten();
    if (pending.size > 0) listen(); // the program goes on
  });
}

function removeAll(): void {
  for (const path of pending) rmSync(path, { force: true });
}

const pending = new Set<string>();
const ENDING_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
