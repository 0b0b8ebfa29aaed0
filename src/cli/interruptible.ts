/**
 * Runs work that has something to clean up elsewhere. A signal that ends the process aborts the work first, and takes its usual effect once
 * the work has settled.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  let ending: NodeJS.Signals | undefined;
  const end = (signal: NodeJS.Signals): void => {
    ending = signal;
    stop.abort(new Error(`ended by ${signal}`));
  };
  for (const signal of SIGNALS) process.on(signal, end);
  try {
    return await work(stop.signal);
  } finally {
    for (const signal of SIGNALS) process.off(signal, end);
    if (ending !== undefined) process.kill(process.pid, ending);
  }
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
