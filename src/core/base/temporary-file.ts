import { rmSync } from "node:fs";
import process from "node:process";

/**
 * Removes a temporary file if the process ends before the file got its final name.
 *
 * A signal that nothing else listens to removes the file and then takes its usual effect. If the program listens too, its listener decides,
 * and the file is removed when the program exits. No listener is left once no temporary file is pending.
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

/** Removes this listener before the others are called: some of them end the process only if they are the only one. */
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
