import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { SERVICE_LAGS } from "../src/tenants/health/revocation-bound.ts";
import { TENANT_LIFE_CYCLE } from "../src/tenants/life-cycle/table.ts";
import { FLOORS, KNOWS_PROVIDERS, PROVIDERS, PROVIDERS_SHARE, type ProviderRoom, type Room } from "../test/package/arrows.ts";
import { envelopePicture } from "./envelope-picture.ts";
import { housePicture } from "./house-picture.ts";
import { keyHoldersPicture, lifeCyclePicture } from "./tenants-pictures.ts";

// npm run house: writes what CONTRIBUTING.md and docs/design.md say of rooms, and docs/house.svg, from the table in test/package/arrows.ts;
// draws docs/envelope.svg; and writes the life cycle of tenants into docs/tenants.md.

/** The files that are made here, as they must be. Paths are from the root. */
export function houseFiles(read: (path: string) => string): ReadonlyMap<string, string> {
  const house = { floors: FLOORS, providers: PROVIDERS, providersShare: PROVIDERS_SHARE, knowsProviders: KNOWS_PROVIDERS };
  return new Map([
    ["docs/house.svg", housePicture(house)],
    ["docs/envelope.svg", envelopePicture()],
    ["docs/tenants-life-cycle.svg", lifeCyclePicture(TENANT_LIFE_CYCLE)],
    ["docs/tenants-keys.svg", keyHoldersPicture()],
    ["CONTRIBUTING.md", withList(read("CONTRIBUTING.md"), tree())],
    ["docs/design.md", withList(read("docs/design.md"), table())],
    ["docs/tenants.md", withLags(withList(read("docs/tenants.md"), lifeCycle()))],
  ]);
}

/** Replaces what stands between the two marks. @throws if a page has no marks */
function withList(page: string, list: string): string {
  if (!MARKED.test(page)) throw new Error(`a page has no ${BEGIN} … ${END}`);
  return page.replace(MARKED, () => `${BEGIN}\n\n${list}\n\n${END}`);
}

/** Floors from the top, rooms of one floor side by side. */
function tree(): string {
  const lines = FLOORS.map((rooms) => rooms.map(({ path }) => path.replace(/\/$/, "")).join("  "));
  const providers = PROVIDERS.map(
    ({ path, also = [] }) =>
      `${path.replace(/\/$/, "").padEnd(24)}→ ${[...PROVIDERS_SHARE, ...also].map((room) => room.replace(/\/$/, "")).join(", ")}`,
  );
  return ["```", ...lines, "", ...providers, "```"].join("\n");
}

function table(): string {
  return ["| room | what it holds | packages that it may load |", "|---|---|---|", ...FLOORS.flat().map(row), ...PROVIDERS.map(row)].join(
    "\n",
  );
}

function row({ path, holds, packages = [], inner = [] }: Room & Pick<ProviderRoom, "inner">): string {
  const order = inner.length > 0 ? `; inside, ${inner.map((folders) => folders.join(", ")).join(" → ")}` : "";
  const names = packages.map((name) => `\`${name.endsWith(":") || name.endsWith("/") ? `${name}*` : name}\``);
  return `| \`${path.replace(/\/$/, "")}\` | ${holds}${order} | ${names.join(", ")} |`;
}

/** Writes the lags of key services behind the second mark. */
function withLags(page: string): string {
  const rows = Object.entries(SERVICE_LAGS).map(
    ([kind, { lever, usualMs, longestMs }]) => `| \`${kind}\` | ${lever} | ${usualMs / 1000} s | ${longestMs / 1000} s |`,
  );
  const list = ["| kind | fastest way to take the key away | usual lag | longest lag |", "|---|---|---|---|", ...rows].join("\n");
  return page.replace(LAGS, () => `${LAGS_BEGIN}\n\n${list}\n\n<!-- end of lags -->`);
}

/** The changes of a tenant, from the table that the library applies. */
function lifeCycle(): string {
  const rows = TENANT_LIFE_CYCLE.map(({ change, from, to, event, meaning, isGeneration }) => {
    const follows = to === "same" ? "as before" : `**${to}**`;
    return `| \`${change}\` | ${from.join(", ")} | ${follows} | \`${event}\` | ${meaning}${isGeneration ? " Counts the generation." : ""} |`;
  });
  return ["| change | allowed in | state afterwards | event | what happens |", "|---|---|---|---|---|", ...rows].join("\n");
}

const BEGIN = "<!-- made by npm run house -->";
const END = "<!-- end -->";
const LAGS_BEGIN = "<!-- lags, made by npm run house -->";
const LAGS = /<!-- lags, made by npm run house -->[\s\S]*?<!-- end of lags -->/;
const MARKED = /<!-- made by npm run house -->[\s\S]*?<!-- end -->/;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const at = (path: string): URL => new URL(`../${path}`, import.meta.url);
  for (const [path, text] of houseFiles((file) => readFileSync(at(file), "utf8"))) writeFileSync(at(path), text);
}
