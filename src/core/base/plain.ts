/**
 * Whether a value is what it looks like: no instance of a class, and without keys of its own beside those that are encoded. Instances, holes,
 * symbols and what is not enumerable would be lost in silence.
 *
 * @param prototypes the length of the chain of prototypes at most: 1 for an object, 2 for an array, a Map or a Date, of any realm
 * @param keys the number of own keys that are encoded or belong to the kind of value
 */
export function isPlain(value: object, prototypes: number, keys: number): boolean {
  let length = 0;
  for (let at: unknown = Object.getPrototypeOf(value); typeof at === "object" && at !== null; at = Object.getPrototypeOf(at)) length++;
  return length <= prototypes && Reflect.ownKeys(value).length === keys;
}

/** Whether an array has its items and nothing else: no holes, no members beside them, no class. */
export function isPlainArray(items: readonly unknown[]): boolean {
  const { length } = items;
  const names = Object.keys(items); // indices first, in their order
  return isPlain(items, 2, length + 1) && names.length === length && (length === 0 || names[length - 1] === String(length - 1));
}
