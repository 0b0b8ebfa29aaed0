import type { ProviderRoom, Room } from "../test/package/arrows.ts";
import { type Area, box, outline, page, type Span, text } from "./picture.ts";

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
  return page("The rooms of Envelock and the way that imports may take", ground.bottom + 64, [
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
    const also = room.also?.map((path) => path.split("/").at(-2)).join(", ");
    const words = [room.holds, also === undefined ? "" : `stands on ${also} too`, inner];
    const lines = words.flatMap((part) => (part === "" ? [] : wrapped(part, width - 28))).slice(0, Math.floor((each - 28) / 17));
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

const CORE = "src/core/";
const NOTES: readonly string[] = [
  "A room may import what lies below it and nothing beside it. The table is test/package/arrows.ts; a test holds it, types included.",
  "At run time the core calls providers through contracts: only resilience does.",
];
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
