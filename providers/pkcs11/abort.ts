/**
 * Waits for a call to the token until the caller's signal aborts. The call cannot be stopped: it goes on to its end, and its result
 * goes to `discard`.
 */
export function orAborted<T>(call: Promise<T>, signal: AbortSignal | undefined, discard?: (result: T) => void): Promise<T> {
  if (signal === undefined) return call;
  return new Promise((resolve, reject) => {
    let hasLeft = false;
    const onAbort = (): void => {
      hasLeft = true;
      reject(signal.reason);
    };
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    const release = (): void => signal.removeEventListener("abort", onAbort);
    call.then(
      (result) => {
        release();
        if (hasLeft) discard?.(result);
        else resolve(result);
      },
      (error: unknown) => {
        release();
        reject(error);
      },
    );
  });
}
