/** The bytes from `start` to before `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** The result of a Range header: some ranges, none that exist, or the whole. */
export type RangeRequest = readonly ByteRange[] | "unsatisfiable" | "whole";

/**
 * Reads a Range header (RFC 9110 §14.2). The whole is served for a header that is no range of bytes, as the standard says. The same holds
 * for more than `maxRanges`, and for ranges that together exceed the whole, because they only cost.
 *
 * @returns ranges within `size`, ascending, with overlapping and neighbouring ones joined
 */
export function parseRange(header: string | null | undefined, size: number, maxRanges: number): RangeRequest {
  const listed = /^\s*bytes\s*=(.*)$/i.exec(header ?? "")?.[1];
  if (listed === undefined || size === 0) return "whole"; // an empty file has no range, and the request is no error
  const ranges: ByteRange[] = [];
  let asked = 0;
  for (const spec of listed.split(",").map((each) => each.trim())) {
    if (spec === "") continue; // RFC 9110 §5.6.1: empty elements do not count
    const range = rangeOf(spec, size);
    if (range === undefined || ++asked > maxRanges) return "whole";
    if (range.start < range.end) ranges.push(range);
  }
  if (asked === 0) return "whole";
  if (ranges.length === 0) return "unsatisfiable";
  const bytes = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
  return bytes > size ? "whole" : joined(ranges);
}

/** Parses `first-last`, `first-` or `-suffix`, cut to `size`. Empty if no byte of it exists; undefined for any other form. */
function rangeOf(spec: string, size: number): ByteRange | undefined {
  const [, first = "", last = ""] = /^(\d*)\s*-\s*(\d*)$/.exec(spec) ?? [];
  if (first === "" && last === "") return undefined;
  if (first === "") return { start: Math.max(0, size - Number(last)), end: size };
  if (last !== "" && Number(last) < Number(first)) return undefined;
  return { start: Math.min(Number(first), size), end: last === "" ? size : Math.min(Number(last) + 1, size) };
}

function joined(ranges: readonly ByteRange[]): readonly ByteRange[] {
  const result: ByteRange[] = [];
  for (const range of [...ranges].sort((a, b) => a.start - b.start)) {
    const before = result.at(-1);
    if (before === undefined || range.start > before.end) result.push(range);
    else result[result.length - 1] = { start: before.start, end: Math.max(before.end, range.end) };
  }
  return result;
}
