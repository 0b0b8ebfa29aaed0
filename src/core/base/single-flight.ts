import { type WaitBounds, waitFor } from "./wait.ts";

/**
 * Runs work once for all callers that ask while it is in flight. All of them get its result, success or failure. The next caller starts it
 * anew.
 */
export class SingleFlights<K, T> {
  readonly #flights: Map<K, Promise<T>> = new Map();

  /** The number of calls in flight. */
  get size(): number {
    return this.#flights.size;
  }

  has(key: K): boolean {
    return this.#flights.has(key);
  }

  /**
   * Joins the flight of `key`, or starts it.
   *
   * @param bounds end this caller's wait; the flight itself goes on
   * @throws what `start` throws, and as `waitFor`
   */
  run(key: K, start: () => Promise<T>, bounds: WaitBounds = UNBOUNDED): Promise<T> {
    return waitFor(this.#flights.get(key) ?? this.#begin(key, start), bounds);
  }

  /** Detaches the flight of `key`. Its callers still get its result, and the next caller starts another. */
  detach(key: K): void {
    this.#flights.delete(key);
  }

  #begin(key: K, start: () => Promise<T>): Promise<T> {
    const run = async (): Promise<T> => await start(); // a throw is a rejection too
    const flight: Promise<T> = run().finally(() => {
      if (this.#flights.get(key) === flight) this.#flights.delete(key); // before any caller goes on
    });
    this.#flights.set(key, flight);
    return flight;
  }
}

/** Makes `start` a function that runs once for all callers that are in flight at the same time. */
export function singleFlight<T>(start: () => Promise<T>): (bounds?: WaitBounds) => Promise<T> {
  const flights = new SingleFlights<undefined, T>();
  return (bounds) => flights.run(undefined, start, bounds);
}

const UNBOUNDED: WaitBounds = {};
