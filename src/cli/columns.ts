/** Rows as lines with aligned columns, two spaces between them. */
export function columns(rows: readonly (readonly string[])[]): string {
  const most = Math.max(...rows.map((row) => row.length));
  const widths = Array.from({ length: most }, (_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return rows.map((row) => lineOf(row, widths)).join("\n");
}

/** `1,234 bytes`: the exact number, whatever the locale. */
export function byteCount(bytes: number): string {
  return countText(bytes, "byte");
}

/** `1,234 keys`: the number of things of which one is called `one`, whatever the locale. */
export function countText(count: number, one: string): string {
  return `${count.toLocaleString("en-US")} ${one}${count === 1 ? "" : "s"}`;
}

function lineOf(row: readonly string[], widths: readonly number[]): string {
  const cells = row.map((cell, at) => cell.padEnd(widths[at] ?? 0));
  return cells.join("  ").trimEnd();
}
