/** Rows as lines with aligned columns, two spaces between them. */
export function columns(rows: readonly (readonly string[])[]): string {
  const most = Math.max(...rows.map((row) => row.length));
  const widths = Array.from({ length: most }, (_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return rows.map((row) => lineOf(row, widths)).join("\n");
}

/** `1,234 bytes`: the exact number, whatever the locale. */
export function byteCount(bytes: number): string {
  return `${bytes.toLocaleString("en-US")} ${bytes === 1 ? "byte" : "bytes"}`;
}

function lineOf(row: readonly string[], widths: readonly number[]): string {
  const cells = row.map((cell, at) => cell.padEnd(widths[at] ?? 0));
  return cells.join("  ").trimEnd();
}
