import { type Clock, systemClock } from "../../src/core/base/clock.ts";
import type { Expiring } from "./expiring.ts";
import type { HttpOptions } from "./http-service.ts";

/**
 * The credentials of each source, so that all providers of one source share one login. What reaches the network by another `fetch`, or
 * counts by another clock, has its own. Nothing is kept longer than its source, `fetch` and clock.
 */
export class SharedCredentials<T> {
  readonly #sources: WeakMap<object, WeakMap<object, WeakMap<Clock, Map<string, Expiring<T>>>>> = new WeakMap();

  /**
   * Returns the credentials of a source. They are made at the first call.
   *
   * @param place the place of the login, where there are several, such as a region
   */
  of(source: object, { fetch = globalThis.fetch, clock = systemClock }: HttpOptions, place: string, make: () => Expiring<T>): Expiring<T> {
    const fetches = below(this.#sources, source, () => new WeakMap());
    const clocks = below(fetches, fetch, () => new WeakMap());
    const places = below(clocks, clock, () => new Map());
    return below(places, place, make);
  }
}

interface Slots<K, V> {
  get(key: K): V | undefined;
  set(key: K, value: V): unknown;
}

function below<K, V>(map: Slots<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
