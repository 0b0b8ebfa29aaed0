import type { Part } from "../format/writer.ts";
import type { Random } from "./random.ts";

/** Up to three changes of a structure: of whole fields, of single bits, of lengths and of what the structure is cut from. */
export function changed(parts: readonly Part[], random: Random): Uint8Array {
  const edited = random.chance(0.4) ? withField(parts, random) : parts;
  let bytes = joined(edited.map(([, field]) => field));
  for (let left = random.below(3); left > 0; left--) bytes = withBytes(bytes, random);
  return bytes;
}

/** A field that is dropped, doubled, emptied, replaced, or changes places with its neighbour. */
function withField(parts: readonly Part[], random: Random): readonly Part[] {
  const at = random.below(parts.length);
  const [name, bytes] = parts[at] ?? ["", new Uint8Array(0)];
  const next = parts[at + 1];
  const other = parts[random.below(parts.length)]?.[1] ?? bytes;
  const replaced = (field: Uint8Array): readonly Part[] => parts.with(at, [name, field]);
  switch (random.below(7)) {
    case 0:
      return parts.toSpliced(at, 1);
    case 1:
      return parts.toSpliced(at, 0, [name, bytes]);
    case 2:
      return replaced(random.bytes(bytes.length));
    case 3:
      return replaced(other);
    case 4:
      return replaced(bytes.map(() => random.pick([0, 0xff])));
    case 5:
      return replaced(joined([bytes, random.bytes(1 + random.below(20))]));
    default:
      return next === undefined ? parts : parts.with(at, next).with(at + 1, [name, bytes]);
  }
}

function withBytes(bytes: Uint8Array, random: Random): Uint8Array {
  const at = random.below(bytes.length + 1);
  const length = 1 + random.below(random.chance(0.1) ? 20_000 : 20);
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
  switch (random.below(7)) {
    case 0:
      return bytes.map((byte, place) => (place === at ? byte ^ (1 << random.below(8)) : byte));
    case 1:
      return bytes.map((byte, place) => (place === at ? random.pick([0, 1, 0x17, 0x18, 0x7f, 0x80, 0xff]) : byte));
    case 2:
      return joined([before, random.bytes(Math.min(length, 100)), after]);
    case 3:
      return joined([before, after.subarray(length)]);
    case 4:
      return joined([before, bytes.subarray(Math.max(0, at - length), at), after]);
    case 5:
      return before;
    default:
      return joined([before, new Uint8Array(length), after]);
  }
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}
