import { isBytes, toBase64Url, toHex } from "../../src/core/base/bytes.ts";

/**
 * Whether a secret shows in `value` through common ways to print and log: `util.inspect` at any depth, `String`, `JSON.stringify`, an
 * error's message, stack and causes. Sees own properties of every kind, also hidden ones. None of these ways reaches private fields and
 * closures.
 */
export function showsSecret(value: unknown, secrets: readonly Uint8Array[]): boolean {
  const forms = secrets.flatMap(textForms);
  const holdsText = (text: string): boolean => forms.some((form) => text.includes(form));
  const holdsBytes = (bytes: Uint8Array): boolean => secrets.some((secret) => includesBytes(bytes, secret));
  for (const seen of reachableFrom(value)) {
    if (typeof seen === "string" ? holdsText(seen) : isBytes(seen) && holdsBytes(seen)) return true;
  }
  return false;
}

/** Lists every reachable string and byte array, and the text that each object makes of itself. */
function* reachableFrom(start: unknown): Generator<string | Uint8Array> {
  const visited = new Set<unknown>();
  const queue: unknown[] = [start];
  while (queue.length > 0) {
    const value = queue.pop();
    if (typeof value === "string") yield value;
    if (!isObject(value) || visited.has(value)) continue;
    visited.add(value);
    if (ArrayBuffer.isView(value)) {
      yield new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
      continue;
    }
    if (value instanceof ArrayBuffer) {
      yield new Uint8Array(value);
      continue;
    }
    yield* ownTexts(value);
    queue.push(...partsOf(value));
  }
}

/**
 * Lists the parts of an object. Names count too: a map may be keyed by a secret. Getters are not called, as in `util.inspect`; JSON calls
 * those that it sees.
 */
function* partsOf(value: object): Generator<unknown> {
  for (const key of Reflect.ownKeys(value)) {
    yield key;
    yield Reflect.getOwnPropertyDescriptor(value, key)?.value;
  }
  if (value instanceof Map) yield* value.entries();
  if (value instanceof Set) yield* value;
}

function* ownTexts(value: object): Generator<string> {
  for (const show of [() => JSON.stringify(value), () => `${value}`, () => inspected(value)]) {
    try {
      const text: unknown = show();
      if (typeof text === "string") yield text;
    } catch {
      // an object that cannot be shown shows nothing
    }
  }
}

function inspected(value: object): unknown {
  const inspect: unknown = Reflect.get(value, Symbol.for("nodejs.util.inspect.custom"));
  return typeof inspect === "function" ? Reflect.apply(inspect, value, [2, {}, JSON.stringify]) : undefined;
}

/** Lists the ways in which bytes appear in text: hex, both base64 alphabets, lists of numbers, and JSON of an array or a typed array. */
function textForms(secret: Uint8Array): readonly string[] {
  const hex = toHex(secret);
  const base64Url = toBase64Url(secret);
  const base64 = base64Url.replaceAll("-", "+").replaceAll("_", "/");
  const numbers = [...secret];
  const indexed = JSON.stringify(Object.fromEntries(numbers.entries())).slice(1, -1);
  return [hex, hex.toUpperCase(), base64Url, base64, numbers.join(","), numbers.join(", "), indexed, String.fromCharCode(...secret)];
}

function includesBytes(bytes: Uint8Array, part: Uint8Array): boolean {
  for (let start = bytes.indexOf(part[0] ?? 0); start !== -1; start = bytes.indexOf(part[0] ?? 0, start + 1)) {
    if (part.every((byte, at) => bytes[start + at] === byte)) return true;
  }
  return false;
}

function isObject(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}
