import { concatBytes, copyOf, isTextOfAtMost, readUint32, textOf, utf8, wipe, wiping, writeUint32 } from "../core/base/bytes.ts";
import { invalidArgument, malformed } from "../core/base/errors.ts";
import { requireNamed } from "../core/base/options.ts";
import { CODECS, type Codec, VALUE_TYPES, type ValueType } from "./values.ts";

/** The columns of a record: names of text columns, or names with types. */
export type RecordColumns = readonly string[] | Readonly<Record<string, ValueType>>;

/**
 * Encodes several columns as one plaintext: `( u8 len | name UTF-8 | u32 len | value )*`, in the order of the columns, without those that are
 * null or undefined. Names stand in it, so that columns can be added and moved.
 *
 * @throws `invalid-argument` for no columns, an unknown type, or a name that is given twice, is empty or takes more than 255 bytes
 */
export function recordCodec(columns: RecordColumns): Codec<Readonly<Record<string, unknown>>> {
  const members = membersOf(columns);
  return {
    isConversion: true,
    withBytes(value, use) {
      requireNamed(value, "a record is an object of its columns");
      const given = new Map<string, unknown>(Object.entries(value));
      const foreign = [...given.keys()].find((name) => !members.has(name));
      if (foreign !== undefined) throw invalidArgument(`the record has no column "${foreign}"`);
      const parts: Uint8Array[] = [];
      try {
        for (const [name, member] of members) parts.push(...encodedMember(member, given.get(name)));
        return wiping(concatBytes(...parts), use);
      } finally {
        wipe(...parts);
      }
    },
    decode(bytes) {
      const values = new Map<string, unknown>([...members.keys()].map((name) => [name, null]));
      for (const [name, content] of membersIn(bytes)) {
        const member = members.get(name);
        if (member === undefined) throw malformed("the record has a column that this program does not know: it would be lost");
        values.set(name, member.codec.decode(content));
      }
      return Object.fromEntries(values);
    },
  };
}

interface Member {
  /** `u8 len | name` */
  readonly head: Uint8Array;
  readonly codec: Codec<unknown>;
}

function membersOf(columns: RecordColumns): ReadonlyMap<string, Member> {
  if (typeof columns !== "object" || columns === null) throw invalidArgument("a record takes a list of columns, or columns with types");
  const entries: readonly (readonly [string, ValueType])[] = isNames(columns)
    ? columns.map((name) => [name, "string"])
    : Object.entries(columns);
  for (const [name, type] of entries) {
    if (!VALUE_TYPES.includes(type)) throw invalidArgument(`the type of column "${name}" is none of ${VALUE_TYPES.join(", ")}`);
  }
  const members = new Map(entries.map(([name, type]) => [name, { head: headOf(name), codec: CODECS[type] }]));
  if (members.size === 0 || members.size < entries.length) throw invalidArgument("a record has one column or more, each once");
  return members;
}

function isNames(columns: RecordColumns): columns is readonly string[] {
  return Array.isArray(columns);
}

function headOf(name: string): Uint8Array {
  if (!isTextOfAtMost(255, name)) throw invalidArgument("a column's name takes 1 to 255 bytes");
  const bytes = utf8(name);
  return concatBytes(Uint8Array.of(bytes.length), bytes);
}

/** Returns parts that belong to the caller, which wipes them. */
function encodedMember({ head, codec }: Member, value: unknown): readonly Uint8Array[] {
  if (value === null || value === undefined) return [];
  const content = codec.withBytes(value, copyOf);
  const length = new Uint8Array(4);
  writeUint32(length, 0, content.length);
  return [copyOf(head), length, content];
}

/** Parses a record. @throws `malformed-envelope` unless each name stands once and no byte is left over */
function membersIn(bytes: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const members = new Map<string, Uint8Array>();
  for (let at = 0; at < bytes.length; ) {
    const nameEnd = at + 1 + (bytes[at] ?? 0);
    const contentStart = nameEnd + 4;
    if (contentStart > bytes.length) throw broken();
    const name = textOf(bytes.subarray(at + 1, nameEnd));
    at = contentStart + readUint32(bytes, nameEnd);
    if (name === undefined || members.has(name) || at > bytes.length) throw broken();
    members.set(name, bytes.subarray(contentStart, at));
  }
  return members;
}

function broken(): Error {
  return malformed("what was decrypted is not a record");
}
