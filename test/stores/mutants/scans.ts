import type { DataKeyStore, ScanPage, StoredDataKey } from "../../../src/core/contracts/data-key-store.ts";
import { everyRow, type Mutant } from "./mutant.ts";

export const SCAN_MUTANTS: readonly Mutant[] = [
  {
    fault: "scans by an alphabet's order",
    noticedBy: "a scan gives each row once, by scope and version",
    change: (sound) => scanning(sound, (a, b) => a.scope.localeCompare(b.scope, "en") || a.version - b.version),
  },
  {
    fault: "scans versions as text",
    noticedBy: "a scan gives each row once, by scope and version",
    change: (sound) => scanning(sound, (a, b) => byText(a.scope, b.scope) || byText(`${a.version}`, `${b.version}`)),
  },
  {
    fault: "scans by version and then by scope",
    noticedBy: "a scan gives each row once, by scope and version",
    change: (sound) => scanning(sound, (a, b) => a.version - b.version || byText(a.scope, b.scope)),
  },
  {
    fault: "gives the last row of a page again",
    noticedBy: "a scan gives each row once, by scope and version",
    change: (sound) => ({
      scan: ({ after, limit }, options) => sound.scan({ limit, after: after && { ...after, version: after.version - 0.5 } }, options),
    }),
  },
  {
    fault: "goes on with the next scope and leaves versions out",
    noticedBy: "a scan gives each row once, by scope and version",
    change: (sound) => ({
      scan: ({ after, limit }, options) =>
        sound.scan({ limit, after: after && (after.version === 0 ? after : { ...after, version: Number.POSITIVE_INFINITY }) }, options),
    }),
  },
  {
    fault: "leaves out the first row of all",
    noticedBy: "a scan begins at the first row",
    change: (sound) => ({
      async scan({ after, limit }, options) {
        const [first] = await sound.scan({ limit: 1 }, options);
        return await sound.scan({ limit, after: after ?? first });
      },
    }),
  },
  {
    fault: "gives two rows at most",
    noticedBy: "a page has as many rows as it may",
    change: (sound) => ({ scan: ({ after, limit }, options) => sound.scan({ after, limit: Math.min(limit, 2) }, options) }),
  },
  {
    fault: "gives a row more than it may",
    noticedBy: "a page has as many rows as it may",
    change: (sound) => ({ scan: ({ after, limit }, options) => sound.scan({ after, limit: limit + 1 }, options) }),
  },
  {
    fault: "counts rows instead of looking where it stood",
    noticedBy: "what changes meanwhile shifts no page",
    change(sound) {
      let next = 0;
      let last: string | undefined;
      return {
        async scan({ after, limit }, options) {
          options?.signal?.throwIfAborted();
          const rows = await everyRow(sound);
          if (after === undefined || placeText(after) !== last) next = rows.findIndex((row) => isAfter(row, { limit, after }));
          const page = next < 0 ? [] : rows.slice(next, next + limit);
          next += page.length;
          last = placeText(page.at(-1));
          return page;
        },
      };
    },
  },
];

function scanning(sound: DataKeyStore, compare: (a: Place, b: Place) => number): Partial<DataKeyStore> {
  return {
    async scan({ after, limit }, options) {
      options?.signal?.throwIfAborted();
      const rows = [...(await everyRow(sound))].sort(compare);
      return rows.filter((row) => after === undefined || compare(row, after) > 0).slice(0, limit);
    },
  };
}

type Place = Pick<StoredDataKey, "scope" | "version">;

function isAfter(row: Place, { after }: ScanPage): boolean {
  return after === undefined || row.scope > after.scope || (row.scope === after.scope && row.version > after.version);
}

function placeText(place: Place | undefined): string {
  return `${place?.scope} ${place?.version}`;
}

function byText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
