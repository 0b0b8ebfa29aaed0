/** A source of aborts that end waits early: an `AbortSignal`, or an object of the core's own that behaves as one. */
export interface AbortSource {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
  /** The place of its own for the work that waits for it. Sources that the core makes for one call have it, signals of callers do not. */
  [WAITING]?: Waiting | undefined;
}

/** Names the place in a source for the work that waits. */
const WAITING: unique symbol = Symbol("waiting");

/** Makes the controller of one call. */
export function callController(): AbortController {
  const controller = new AbortController();
  givePlace(controller.signal);
  return controller;
}

/** Gives a source that the core makes for one call a place for the work that waits. */
export function givePlace(source: AbortSource): void {
  source[WAITING] = undefined;
}

/**
 * Calls `run` when the signal is aborted. One listener serves all work that waits for the same signal: calls that share the signal of
 * their caller would each add one, and a runtime takes more than ten for a leak and says so.
 *
 * @param run must not throw
 * @returns what ends the waiting, and leaves no listener behind once nothing else waits for this signal; a second call does nothing
 */
export function whenAborted(signal: AbortSource | undefined, run: () => void): () => void {
  if (signal === undefined) return NOTHING;
  const work = (): void => run(); // the same function may wait twice
  const waiting = waitingFor(signal);
  if (waiting.work.size === 0) signal.addEventListener("abort", waiting.runAll);
  waiting.work.add(work);
  return () => {
    if (waiting.work.delete(work) && waiting.work.size === 0) signal.removeEventListener("abort", waiting.runAll);
  };
}

/** The work that waits for one signal. */
interface Waiting {
  readonly work: Set<() => void>;
  runAll(): void;
}

function waitingFor(signal: AbortSource): Waiting {
  const hasPlace = WAITING in signal;
  const known = hasPlace ? signal[WAITING] : ALL.get(signal);
  if (known !== undefined) return known;
  const work = new Set<() => void>();
  const waiting: Waiting = {
    work,
    runAll: () => {
      for (const run of [...work]) if (work.has(run)) run(); // one may end the wait of another
    },
  };
  if (hasPlace) signal[WAITING] = waiting;
  else ALL.set(signal, waiting);
  return waiting;
}

/** For signals of callers alone: the collector of young objects copies what a weak map holds, also for keys that are gone. */
const ALL = new WeakMap<AbortSource, Waiting>();
const NOTHING = (): void => undefined;
