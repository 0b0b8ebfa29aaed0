/** What became of one item. */
export type Settled<T, R> = { readonly item: T; readonly result: R } | { readonly item: T; readonly error: unknown };

/**
 * Works on several items at once, and gives what became of them in the order of the items. When it is left early, no further item is
 * begun, and those in flight are waited for.
 */
export async function* inOrder<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  mostInFlight: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<Settled<T, R>, void, undefined> {
  const waiting: Promise<Settled<T, R>>[] = [];
  try {
    for await (const item of items) {
      waiting.push(
        work(item).then(
          (result) => ({ item, result }),
          (error: unknown) => ({ item, error }),
        ),
      );
      const head = waiting.length >= mostInFlight ? waiting.shift() : undefined;
      if (head !== undefined) yield await head;
    }
    for (let head = waiting.shift(); head !== undefined; head = waiting.shift()) yield await head;
  } finally {
    await Promise.all(waiting);
  }
}
