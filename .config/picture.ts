// What the pictures of the docs are drawn with.

export interface Span {
  readonly x: number;
  readonly width: number;
}

export interface Area extends Span {
  readonly y: number;
  readonly height: number;
}

/** A picture, on a card of its own, so that it can be read on any page; darker where the reader's system is. */
export function page(title: string, height: number, parts: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">
<title>${title}</title>
<style>${STYLE}</style>
<rect class="card" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="14"/>
${parts.join("\n")}
</svg>
`;
}

export function box({ x, y, width, height }: Area, kind: string): string {
  return `<rect class="${kind}" x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" rx="6"/>`;
}

export function text(x: number, y: number, kind: string, words: string): string {
  const escaped = words.replace(/&/g, "&amp;").replace(/</g, "&lt;");
  return `<text class="${kind}" x="${round(x)}" y="${round(y)}">${escaped}</text>`;
}

/** A dashed frame around an area, with a label on its upper edge. */
export function outline({ x, y, width, height }: Area, label: string): string {
  const labelWidth = label.length * 8 + 16;
  const right = x + width - 8;
  return [
    box({ x: x - 8, y: y - 8, width: width + 16, height: height + 16 }, "outline"),
    box({ x: right - labelWidth, y: y - 17, width: labelWidth, height: 18 }, "tab"),
    text(right - labelWidth / 2, y - 3.5, "label middle", label),
  ].join("\n");
}

/** A line through points, with a head at its end. */
export function arrow(...points: readonly (readonly [x: number, y: number])[]): string {
  const [endX = 0, endY = 0] = points.at(-1) ?? [];
  const [fromX = 0, fromY = 0] = points.at(-2) ?? [];
  const [forwardX, forwardY] = [Math.sign(endX - fromX), Math.sign(endY - fromY)];
  const wing = (side: number): string =>
    `${round(endX - 7 * forwardX + 4 * side * forwardY)} ${round(endY - 7 * forwardY + 4 * side * forwardX)}`;
  const path = points.map(([x, y]) => `${round(x)} ${round(y)}`).join(" L");
  return `<path class="line" d="M${path}"/><path class="head" d="M${wing(1)} L${round(endX)} ${round(endY)} L${wing(-1)} Z"/>`;
}

/** A picture's share of a line from one area down to a wider one: the lower shows what the upper holds. */
export function zoom(from: Area, to: Area): string {
  const [top, bottom] = [from.y + from.height, to.y];
  return `<path class="zoom" d="M${round(from.x)} ${round(top)} L${round(to.x)} ${round(bottom)} H${round(to.x + to.width)} L${round(from.x + from.width)} ${round(top)} Z"/>`;
}

function round(value: number): string {
  return String(Math.round(value * 10) / 10);
}

const WIDTH = 1000;

const STYLE = `
text { font-family: ui-sans-serif, system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2933 }
.name { font: 600 14px ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace }
.holds { font-size: 12px; fill: #46535f }
.small { font-size: 11.5px; fill: #56626e }
.note { font-size: 11.5px; fill: #66727e }
.label { font: 600 11.5px ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace; fill: #46535f }
.middle { text-anchor: middle }
.card { fill: #fbfcfd; stroke: #d5dbe1 }
.roof { fill: #dfe4ea; stroke: #9aa5b1 }
.outline { fill: none; stroke: #9aa5b1; stroke-dasharray: 4 4 }
.tab { fill: #fbfcfd }
.driver { fill: #e3f4ea; stroke: #7cbf98 }
.door { fill: #ffffff; stroke: #2f9e63; stroke-width: 2 }
.core { fill: #e4eefb; stroke: #84aede }
.provider { fill: #fdf0dc; stroke: #dfae63 }
.ground { fill: #ece9f6; stroke: #a79bd0 }
.line { fill: none; stroke: #66727e; stroke-width: 1.5 }
.head { fill: #66727e }
.zoom { fill: #84aede; opacity: 0.12 }
.given { fill: none; stroke: #9aa5b1; stroke-dasharray: 4 4 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .holds, .small { fill: #b3bdc8 }
  .note, .label { fill: #96a1ad }
  .card, .tab { fill: #12171d }
  .card { stroke: #2c353f }
  .roof { fill: #27303a; stroke: #566371 }
  .outline { stroke: #566371 }
  .driver { fill: #16301f; stroke: #3a7f57 }
  .door { fill: #0e1a13; stroke: #4cc38a }
  .core { fill: #15263c; stroke: #40699b }
  .provider { fill: #36280f; stroke: #95702f }
  .ground { fill: #241f38; stroke: #675b98 }
  .line { stroke: #96a1ad }
  .head { fill: #96a1ad }
  .given { stroke: #566371 }
}
`;
