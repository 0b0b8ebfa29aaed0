import type { StoredDataKey } from "../../../src/core/contracts/data-key-store.ts";
import { everyRow, givingOut, type Mutant, underScope } from "./mutant.ts";

export const ROW_MUTANTS: readonly Mutant[] = [
  {
    fault: "does not keep the revision",
    noticedBy: "a row comes back as it went in",
    change: (sound) => givingOut(sound, (row) => ({ ...row, revision: 1 })),
  },
  {
    fault: "gives active keys alone",
    noticedBy: "a row comes back as it went in",
    change: (sound) => ({ list: async (scope, options) => (await sound.list(scope, options)).filter(({ state }) => state === "active") }),
  },
  {
    fault: "keeps bytes as text",
    noticedBy: "a row comes back as it went in",
    change: (sound) =>
      givingOut(sound, (row) => ({ ...row, record: row.record && new TextEncoder().encode(new TextDecoder().decode(row.record)) })),
  },
  {
    fault: "does not know of proofs",
    noticedBy: "a row comes back as it went in",
    change: (sound) => givingOut(sound, (row) => ({ ...row, proof: null })),
  },
  {
    fault: "cuts proofs at 4 KiB",
    noticedBy: "the largest values fit",
    change: (sound) => givingOut(sound, (row) => ({ ...row, proof: row.proof?.slice(0, 4096) ?? null })),
  },
  {
    fault: "keeps times in 32 bits of seconds",
    noticedBy: "the largest values fit",
    change: (sound) => givingOut(sound, (row) => ({ ...row, createdAtMs: Math.min(row.createdAtMs, 2 ** 31 * 1000) })),
  },
  {
    fault: "cuts scopes at 255 characters",
    noticedBy: "the largest values fit",
    change: (sound) => ({
      ...underScope(sound, (scope) => scope.slice(0, 255)),
    }),
  },
  {
    fault: "cuts records at 64 KiB",
    noticedBy: "the largest values fit",
    change: (sound) => givingOut(sound, (row) => ({ ...row, record: row.record?.slice(0, 65536) ?? null })),
  },
  {
    fault: "makes up a row where there is none",
    noticedBy: "what is not there is not found",
    change: (sound) => ({
      byKid: async (scope, kid, options) =>
        (await sound.byKid(scope, kid, options)) ?? {
          scope,
          kid,
          version: 1,
          state: "active",
          record: null,
          proof: null,
          createdAtMs: 0,
          revision: 1,
        },
    }),
  },
  {
    fault: "looks for a kid in all scopes",
    noticedBy: "a kid is looked for in its scope alone",
    change: (sound) => ({
      async byKid(_scope, kid, options) {
        options?.signal?.throwIfAborted();
        return (await everyRow(sound)).find((row) => row.kid === kid);
      },
    }),
  },
  {
    fault: "takes capitals for small letters",
    noticedBy: "scopes are told apart to the letter",
    change: (sound) => underScope(sound, (scope) => scope.toLowerCase()),
  },
  {
    fault: "takes no empty scope",
    noticedBy: "scopes are told apart to the letter",
    change: (sound) => ({
      insertIfAbsent: async (row, options) => row.scope !== "" && (await sound.insertIfAbsent(row, options)),
    }),
  },
  {
    fault: "remembers what it has read",
    noticedBy: "other store objects see it at once",
    change(sound) {
      const read = new Map<string, readonly StoredDataKey[]>();
      return {
        async list(scope, options) {
          const rows = read.get(scope) ?? (await sound.list(scope, options));
          read.set(scope, rows);
          return rows.map((row) => ({ ...row, record: row.record?.slice() ?? null }));
        },
      };
    },
  },
  {
    fault: "keeps the caller's bytes",
    noticedBy: "rows that went in and came out belong to the caller",
    change(sound) {
      const kept = new Map<string, Uint8Array | null>();
      return {
        ...givingOut(sound, (row) => ({ ...row, record: kept.get(row.kid)?.slice() ?? row.record })),
        async insertIfAbsent(row, options) {
          kept.set(row.kid, row.record);
          return await sound.insertIfAbsent(row, options);
        },
        async compareAndSwap(row, revision, options) {
          kept.delete(row.kid);
          return await sound.compareAndSwap(row, revision, options);
        },
      };
    },
  },
  {
    fault: "gives its own bytes away",
    noticedBy: "rows that went in and came out belong to the caller",
    change(sound) {
      const own = new Map<string, Uint8Array | null>();
      return givingOut(sound, (row) => {
        const place = `${row.scope} ${row.version} ${row.revision}`;
        const record = own.get(place) ?? row.record;
        own.set(place, record);
        return { ...row, record };
      });
    },
  },
];
