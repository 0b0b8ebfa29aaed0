import type { TenantChangeRule } from "../src/tenants/life-cycle/table.ts";
import { type Area, arrow, box, outline, page, text } from "./picture.ts";

/** Draws the life cycle of a tenant from its table: a box for each state with the changes that leave it, and arrows between neighbours. */
export function lifeCyclePicture(rules: readonly TenantChangeRule[]): string {
  const edges = rules.flatMap(({ change, from, to }) => (to === "same" ? [] : from.map((state) => ({ change, from: state, to }))));
  const boxes = PLACES.flatMap(({ state, column, row }) => {
    const area = areaOf(column, row);
    const leaving = edges.filter((edge) => edge.from === state);
    const inPlace = rules.filter((rule) => rule.to === "same" && rule.from.some((from) => from === state)).map(({ change }) => change);
    return [
      box(area, kindOf(state)),
      text(area.x + 14, area.y + 24, "name", state),
      ...leaving.map(({ change, to }, at) => text(area.x + 14, area.y + 46 + at * 17, "small", `${change} → ${to}`)),
      ...(inPlace.length === 0
        ? []
        : [text(area.x + 14, area.y + 46 + leaving.length * 17, "note", `and ${inPlace.length} that stay here`)]),
    ];
  });
  const arrows = PLACES.flatMap((from) =>
    PLACES.flatMap((to) => (edges.some((edge) => edge.from === from.state && edge.to === to.state) ? between(from, to) : [])),
  );
  return page("The life cycle of a tenant", 566, [
    ...boxes,
    ...arrows,
    arrow([areaOf(0, 0).x + 100, 24], [areaOf(0, 0).x + 100, areaOf(0, 0).y]),
    text(areaOf(0, 0).x + 110, 36, "small", "invite"),
    ...NOTES.map((note, at) => text(28, areaOf(0, 1).y + 22 + at * 19, "note", note)),
  ]);
}

/** Draws which party holds which key, and what travels between them. */
export function keyHoldersPicture(): string {
  return page("Which party holds which key of a tenant", 470, [
    outline(VENDOR, "vendor"),
    ...card(PROCESS, "driver", "Tenants, in each process", [
      "a keyring for each tenant in use",
      "data keys in clear, to their age",
      "refuses by state, before any call",
    ]),
    ...card(STORE, "core", "database", [
      "records: state, names of keys",
      "data keys, wrapped",
      "data, encrypted",
      "no secret, no key in clear",
    ]),
    ...card(PLATFORM, "ground", "platform key", ["wraps for tenants", "that bring none"]),
    outline(ACME, "tenant acme"),
    ...card(ACME_KEY, "provider", "its key, in its vault", ["never leaves it", "wraps acme's data keys alone"]),
    outline(ZETA, "tenant zeta"),
    ...card(ZETA_KEY, "provider", "its key, in its cloud", ["disable it, or take the right:", "zeta closes, no one else does"]),
    arrow([PROCESS.x + PROCESS.width, ACME_KEY.y + 40], [ACME_KEY.x, ACME_KEY.y + 40]),
    text(486, ACME_KEY.y + 30, "small", "wrap, unwrap, as acme"),
    arrow([PROCESS.x + PROCESS.width, 180], [580, 180], [580, ZETA_KEY.y + 40], [ZETA_KEY.x, ZETA_KEY.y + 40]),
    text(486, ZETA_KEY.y + 30, "small", "wrap, unwrap,"),
    text(486, ZETA_KEY.y + 46, "small", "as zeta"),
    arrow([PROCESS.x + 90, PROCESS.y + PROCESS.height], [PROCESS.x + 90, STORE.y]),
    arrow([PROCESS.x + 260, PROCESS.y + PROCESS.height], [PROCESS.x + 260, PLATFORM.y]),
    text(28, 452, "note", "Each tenant has credentials, a share of the cache, a breaker and a place in line of its own."),
  ]);
}

interface Place {
  readonly state: string;
  readonly column: number;
  readonly row: number;
}

function areaOf(column: number, row: number): Area {
  return { x: 28 + column * 240, y: 58 + row * 170, width: 210, height: 140 };
}

/** An arrow between two boxes that stand side by side, or one above the other. */
function between(from: Place, to: Place): readonly string[] {
  const [a, b] = [areaOf(from.column, from.row), areaOf(to.column, to.row)];
  const [across, down] = [to.column - from.column, to.row - from.row];
  if (down === 0 && Math.abs(across) === 1) {
    const y = a.y + (across > 0 ? 60 : 90);
    return [across > 0 ? arrow([a.x + a.width, y], [b.x, y]) : arrow([a.x, y], [b.x + b.width, y])];
  }
  if (across === 0 && Math.abs(down) === 1) {
    const x = a.x + (down > 0 ? 90 : 130);
    return [down > 0 ? arrow([x, a.y + a.height], [x, b.y]) : arrow([x, a.y], [x, b.y + b.height])];
  }
  return [];
}

function kindOf(state: string): string {
  if (state === "active" || state === "degraded") return "driver";
  return state === "invited" || state === "verifying" ? "core" : state === "shredded" ? "roof" : "provider";
}

function card(area: Area, kind: string, name: string, lines: readonly string[]): readonly string[] {
  return [
    box(area, kind),
    text(area.x + 14, area.y + 24, "name", name),
    ...lines.map((words, at) => text(area.x + 14, area.y + 46 + at * 18, "small", words)),
  ];
}

const PLACES: readonly Place[] = [
  { state: "invited", column: 0, row: 0 },
  { state: "verifying", column: 1, row: 0 },
  { state: "active", column: 2, row: 0 },
  { state: "degraded", column: 3, row: 0 },
  { state: "suspended", column: 2, row: 1 },
  { state: "revoked", column: 3, row: 1 },
  { state: "offboarding", column: 2, row: 2 },
  { state: "shredded", column: 3, row: 2 },
];
const NOTES = [
  "Each box names the changes that leave its state. Arrows are drawn",
  "between neighbours alone.",
  "Every change is one compare-and-swap and one event.",
  "active, degraded: reads and writes. offboarding: reads.",
  "All others: refused before any call of a key.",
];
const VENDOR: Area = { x: 36, y: 52, width: 430, height: 372 };
const PROCESS: Area = { x: 52, y: 70, width: 398, height: 130 };
const STORE: Area = { x: 52, y: 262, width: 225, height: 146 };
const PLATFORM: Area = { x: 297, y: 262, width: 153, height: 146 };
const ACME: Area = { x: 700, y: 52, width: 260, height: 150 };
const ACME_KEY: Area = { x: 716, y: 70, width: 228, height: 116 };
const ZETA: Area = { x: 700, y: 274, width: 260, height: 150 };
const ZETA_KEY: Area = { x: 716, y: 292, width: 228, height: 116 };
