import { fromBase64Url, textOf, toBase64Url } from "../core/base/bytes.ts";
import { type Context, KeyContext } from "../core/base/context.ts";
import { invalidArgument } from "../core/base/errors.ts";

/** The purpose of the data keys of a scope. Keys of blind indexes are not rotated, because an index must not change. */
export type KeyPurpose = "fields" | "blind-indexes";

/** The key of the pair that names the purpose in a key context. Keys for fields have no such pair. */
export const PURPOSE = "envelock:purpose";

export function purposeOf(context: Context): KeyPurpose {
  return context[PURPOSE] === "blind-indexes" ? "blind-indexes" : "fields";
}

/** Returns a context as the caller of `DataKeys` gives it, without the pair that the library adds. */
export function contextWithoutPurpose(context: Context): Context {
  if (!Object.hasOwn(context, PURPOSE)) return context;
  return Object.freeze(Object.fromEntries(Object.entries(context).filter(([key]) => key !== PURPOSE)));
}

/**
 * Returns the name that a store has for a key context: base64url of its canonical bytes (docs/format.md §2).
 *
 * @throws `invalid-argument` if it takes more than 1,024 bytes, which is more than databases index
 */
export function scopeText(keyContext: KeyContext): string {
  const { bytes } = keyContext;
  if (bytes.length > MAX_SCOPE_BYTES) throw invalidArgument(`a scope takes ${bytes.length} bytes, at most ${MAX_SCOPE_BYTES} are allowed`);
  return toBase64Url(bytes);
}

/**
 * Decodes the key context of a store's text. Returns undefined for the text of none.
 *
 * @example
 * ```ts
 * import { contextOfScope, type StoredDataKey } from "envelock/fields";
 *
 * export const tenantOf = ({ scope }: StoredDataKey) => contextOfScope(scope)?.["tenant"];
 * ```
 */
export function contextOfScope(scope: string): Context | undefined {
  const bytes = typeof scope === "string" ? fromBase64Url(scope) : undefined;
  if (bytes === undefined) return undefined;
  const texts = textsOf(bytes.subarray(2));
  if (texts === undefined) return undefined;
  const context = Object.fromEntries(pairsOf(texts));
  try {
    return scopeText(new KeyContext(context)) === scope ? context : undefined; // each context has one text: order, count and limits are fixed
  } catch {
    return undefined;
  }
}

/** `( u16 len | UTF-8 )*` */
function textsOf(bytes: Uint8Array): readonly string[] | undefined {
  const texts: string[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < bytes.length; ) {
    if (at + 2 > bytes.length) return undefined;
    const start = at + 2;
    at = start + view.getUint16(at);
    const text = textOf(bytes.subarray(start, at));
    if (at > bytes.length || text === undefined) return undefined;
    texts.push(text);
  }
  return texts.length % 2 === 0 ? texts : undefined;
}

function pairsOf(texts: readonly string[]): readonly [key: string, value: string][] {
  const pairs: [string, string][] = [];
  for (let at = 0; at < texts.length; at += 2) pairs.push([texts[at] ?? "", texts[at + 1] ?? ""]);
  return pairs;
}

const MAX_SCOPE_BYTES = 1024;
