import { EnvelockError } from "./errors.ts";

/**
 * Finds the program of a worker thread beside the module that starts it. Works only on Node and compatible runtimes.
 *
 * @param moduleUrl `import.meta.url` of the module, which bundles of CommonJS leave undefined
 * @param what what the thread is for, as it stands in the message
 * @throws `unavailable`, not retryable, with `detail` `no-worker`, if the program is not there, as in a bundle of one file
 */
export function workerFile(name: string, moduleUrl: string | undefined, what: string): URL {
  const url = moduleUrl === undefined ? undefined : new URL(name, moduleUrl);
  if (url !== undefined && process.getBuiltinModule("node:fs").existsSync(url)) return url;
  throw noWorker(what);
}

/**
 * Explains that no worker thread could be started.
 *
 * @param cause why a started thread ended early
 */
export function noWorker(what: string, cause?: unknown): EnvelockError {
  return new EnvelockError("unavailable", `the worker thread for ${what} cannot be started`, {
    retryable: false,
    detail: "no-worker",
    hint: "keep envelock out of the bundle (mark it as external), so that its worker stands beside it",
    cause,
  });
}
