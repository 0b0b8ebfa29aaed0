import { concatBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import type { Pair } from "../format/writer.ts";
import { invalid } from "./failure.ts";
import type { Slip } from "./slips.ts";

/** docs/format.md §2: the encodings of the key context, and of the value context when it is asked for. */
export function contextsOf(
  keyContext: readonly Pair[],
  added: readonly Pair[],
  slip: Slip | undefined,
): { readonly keyCtx: Uint8Array; valueCtx(): Uint8Array } {
  const keyCtx = encoded(keyContext, slip);
  return { keyCtx, valueCtx: () => encoded([...keyContext, ...added], slip) };
}

function encoded(pairs: readonly Pair[], slip: Slip | undefined): Uint8Array {
  const map = new Map<string, string>();
  for (const [key, value] of pairs) {
    if (key === "" && slip !== "context-empty-key") throw invalid();
    if (slip !== "context-surrogate" && !(isWellFormed(key) && isWellFormed(value))) throw invalid();
    if ((map.get(key) ?? value) !== value && slip !== "context-last-wins") throw invalid();
    map.set(key, value);
  }
  if (map.size > 64 && slip !== "context-no-limit") throw invalid();
  if (map.size === 0) return new Uint8Array(slip === "context-count-zero" ? 2 : 0);
  const entries = [...map].map(([key, value]) => ({ units: key, key: bytesOf(key, slip), value: bytesOf(value, slip) }));
  entries.sort((a, b) => (slip === "context-utf16" ? (a.units < b.units ? -1 : 1) : compared(a.key, b.key)));
  const bytes = concatBytes(
    uint16(map.size),
    ...entries.flatMap(({ key, value }) => [uint16(key.length), key, uint16(value.length), value]),
  );
  if (bytes.length > 8192) throw invalid();
  return bytes;
}

function bytesOf(text: string, slip: Slip | undefined): Uint8Array {
  return utf8ToBytes(slip === "context-normalised" ? text.normalize("NFC") : text);
}

function compared(a: Uint8Array, b: Uint8Array): number {
  for (let at = 0; at < Math.min(a.length, b.length); at++) if (a[at] !== b[at]) return (a[at] ?? 0) - (b[at] ?? 0);
  return a.length - b.length;
}

export function isWellFormed(text: string): boolean {
  return !/\p{Cs}/u.test(text);
}

function uint16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}
