import type { ProviderRoom, Room } from "../test/package/arrows.ts";

/** The table of rooms, as the picture needs it. */
export interface House {
  readonly floors: readonly (readonly Room[])[];
  readonly providers: readonly ProviderRoom[];
  /** The rooms on which providers stand too. */
  readonly providersShare: readonly string[];
  /** The one room that knows providers. */
  readonly knowsProviders: string;
}

/**
 * Draws the house in cross-section: each room stands on what it may import. The command is the roof, because it alone may import
 * everything; contracts and base are the foundation, because providers stand on nothing else.
 */
export function housePicture({ floors, providers, providersShare, knowsProviders }: House): string {
  const isFoundation = (floor: readonly Room[]): boolean => floor.every(({ path }) => providersShare.includes(path));
  const isRoof = (floor: readonly Room[]): boolean => floor.some(({ path }) => path === knowsProviders);
  const isCore = (floor: readonly Room[]): boolean => floor.every(({ path }) => path.startsWith(CORE));
  const storeys = floors.filter((floor) => !isFoundation(floor) && !isRoof(floor)).flatMap(inRows);

  const drivers = stack(
    storeys.filter((floor) => !isCore(floor)),
    HOUSE,
    "driver",
    ROOF_BOTTOM + WALL,
  );
  const core = stack(storeys.filter(isCore), HOUSE, "core", drivers.bottom + WALL);
  const ground = stack(floors.filter(isFoundation), GROUND, "ground", core.bottom + WALL);
  const annex = { ...ANNEX, y: ROOF_BOTTOM + WALL, height: core.bottom - ROOF_BOTTOM - WALL };
  return page(ground.bottom + 64, [
    roofOf(floors.filter(isRoof).flat()[0]),
    ...drivers.parts,
    outline({ ...HOUSE, y: drivers.bottom + WALL, height: core.bottom - drivers.bottom - WALL }, "src/core"),
    ...core.parts,
    outline(annex, "providers"),
    ...annexOf(providers, annex),
    ...ground.parts,
    ...NOTES.map((note, row) => text(GROUND.x, ground.bottom + 30 + row * 18, "note", note)),
  ]);
}

interface Span {
  readonly x: number;
  readonly width: number;
}

interface Area extends Span {
  readonly y: number;
  readonly height: number;
}

/** A floor of many rooms takes several rows. */
function inRows(floor: readonly Room[]): readonly (readonly Room[])[] {
  const rows = Math.ceil(floor.length / ROOMS_A_ROW);
  const each = Math.ceil(floor.length / rows);
  return Array.from({ length: rows }, (_, row) => floor.slice(row * each, (row + 1) * each));
}

function stack(
  floors: readonly (readonly Room[])[],
  span: Span,
  kind: string,
  top: number,
): { readonly parts: readonly string[]; readonly bottom: number } {
  let bottom = top - GAP;
  const parts = floors.flatMap((rooms) => {
    const height = isNarrow(rooms) ? NARROW_ROOM : ROOM;
    const area = { ...span, y: bottom + GAP, height };
    bottom += GAP + height;
    return storey(rooms, area, kind);
  });
  return { parts, bottom };
}

function isNarrow(rooms: readonly Room[]): boolean {
  return rooms.length > 2;
}

function roofOf(room: Room | undefined): string {
  const [left, right, middle] = [GROUND.x - 22, GROUND.x + GROUND.width + 22, GROUND.x + GROUND.width / 2];
  const flat = 150;
  return [
    `<path class="roof" d="M${left} ${ROOF_BOTTOM - 6} L${middle - flat} ${MARGIN} H${middle + flat} L${right} ${ROOF_BOTTOM - 6} Z"/>`,
    text(middle, MARGIN + 36, "name middle", nameOf(room)),
    text(middle, MARGIN + 56, "holds middle", `${room?.holds ?? ""}; alone it knows every room and each provider by its door`),
  ].join("\n");
}

/** The rooms of a floor side by side. */
function storey(rooms: readonly Room[], { x, y, width, height }: Area, kind: string): readonly string[] {
  const each = (width - GAP * (rooms.length - 1)) / rooms.length;
  return rooms.flatMap((room, at) => {
    const left = x + at * (each + GAP);
    const isDoor = !room.path.endsWith("/");
    const frame = box({ x: left, y, width: each, height }, isDoor ? "door" : kind);
    if (isNarrow(rooms)) {
      const lines = wrapped(room.holds, each - 24).map((line, row) => text(left + 12, y + 38 + row * 15, "small", line));
      return [frame, text(left + 12, y + 20, "name", nameOf(room)), ...lines];
    }
    const indent = rooms.length === 1 ? 142 : 84;
    return [
      frame,
      text(left + 14, y + 27, "name", kind === "ground" ? room.path.slice("src/".length, -1) : nameOf(room)),
      text(left + indent, y + 27, "holds", room.holds),
    ];
  });
}

/** The more providers there are, the less is said of each. */
function annexOf(rooms: readonly ProviderRoom[], { x, y, width, height }: Area): readonly string[] {
  const each = (height - GAP * (rooms.length - 1)) / rooms.length;
  return rooms.flatMap((room, at) => {
    const top = y + at * (each + GAP);
    const inner = room.inner?.flat().join(" › ") ?? "";
    const also = room.also?.map((path) => `stands on ${path.split("/").at(-2)} too`) ?? [];
    const lines = [room.holds, ...also, ...wrapped(inner, width - 28)].filter((line) => line !== "").slice(0, Math.floor((each - 28) / 17));
    return [
      box({ x, y: top, width, height: each }, "provider"),
      text(x + 14, top + 22, "name", nameOf(room)),
      ...lines.map((line, row) => text(x + 14, top + 41 + row * 17, row === 0 ? "holds" : "small", line)),
    ];
  });
}

/** Lines that fit a width, as wide as the fonts that readers may have make them. */
function wrapped(words: string, width: number): readonly string[] {
  const lines: string[] = [];
  for (const word of words.split(" ")) {
    const longer = `${lines.at(-1) ?? ""} ${word}`.trim();
    if (lines.length > 0 && longer.length * SMALL_LETTER <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

function nameOf(room: Room | undefined): string {
  const [name = ""] = room?.path.match(/[\w.-]+(?=\/?$)/) ?? [];
  return name;
}

function outline({ x, y, width, height }: Area, label: string): string {
  const labelWidth = label.length * 8 + 16;
  const right = x + width - 8;
  return [
    box({ x: x - 8, y: y - 8, width: width + 16, height: height + 16 }, "outline"),
    box({ x: right - labelWidth, y: y - 17, width: labelWidth, height: 18 }, "tab"),
    text(right - labelWidth / 2, y - 3.5, "label middle", label),
  ].join("\n");
}

function box({ x, y, width, height }: Area, kind: string): string {
  return `<rect class="${kind}" x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" rx="6"/>`;
}

function text(x: number, y: number, kind: string, words: string): string {
  const escaped = words.replace(/&/g, "&amp;").replace(/</g, "&lt;");
  return `<text class="${kind}" x="${round(x)}" y="${round(y)}">${escaped}</text>`;
}

function round(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function page(height: number, parts: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">
<title>The rooms of Envelock and the way that imports may take</title>
<style>${STYLE}</style>
<rect class="card" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="14"/>
${parts.join("\n")}
</svg>
`;
}

const CORE = "src/core/";
const NOTES: readonly string[] = [
  "A room may import what lies below it and nothing beside it. The table is test/package/arrows.ts; a test holds it, types included.",
  "At run time the core calls providers through contracts: only resilience does.",
];
const WIDTH = 1000;
const MARGIN = 28;
const GAP = 8;
const ROOM = 44;
const NARROW_ROOM = 66;
const ROOMS_A_ROW = 5;
const SMALL_LETTER = 6.1;
const WALL = 26; // between what has an outline and what has not
const ROOF_BOTTOM = 112;
const GROUND: Span = { x: 56, width: 888 };
const ANNEX: Span = { x: 736, width: 208 };
const HOUSE: Span = { x: GROUND.x, width: 652 };

// Its own card behind it, so that it can be read on any page; darker where the reader's system is.
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
}
`;
