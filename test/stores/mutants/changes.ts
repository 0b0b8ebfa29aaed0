import type { DataKeyStore, StoredDataKey } from "../../../src/core/contracts/data-key-store.ts";
import type { Mutant } from "./mutant.ts";

export const CHANGE_MUTANTS: readonly Mutant[] = [
  {
    fault: "replaces what has the version already",
    noticedBy: "a version that is taken is refused",
    change: (sound) => ({
      async insertIfAbsent(row, options) {
        const [taken] = (await sound.list(row.scope, options)).filter(({ version }) => version === row.version);
        return taken === undefined ? await sound.insertIfAbsent(row) : await sound.compareAndSwap(row, taken.revision);
      },
    }),
  },
  {
    fault: "says of a version that is taken that it took it",
    noticedBy: "a version that is taken is refused",
    change: (sound) => ({
      async insertIfAbsent(row, options) {
        const isInserted = await sound.insertIfAbsent(row, options);
        return isInserted || (await sound.byKid(row.scope, row.kid)) === undefined;
      },
    }),
  },
  {
    fault: "takes a kid twice",
    noticedBy: "a kid that is taken is refused",
    change: (sound) => ({
      async insertIfAbsent(row, options) {
        const isTaken = (await sound.byKid(row.scope, row.kid, options)) !== undefined;
        return await sound.insertIfAbsent(isTaken ? { ...row, kid: row.kid.replace(/^./, "-") } : row);
      },
    }),
  },
  {
    fault: "does not look at the revision",
    noticedBy: "a change on another revision is refused",
    change: (sound) => ({
      compareAndSwap: async (row, _revision, options) => await swapAny(sound, row, options?.signal),
    }),
  },
  {
    fault: "takes every older revision for the same",
    noticedBy: "a change on another revision is refused",
    change: (sound) => ({
      async compareAndSwap(row, revision, options) {
        const before = await placeOf(sound, row, options?.signal);
        return before !== undefined && revision <= before.revision && (await swapAny(sound, row));
      },
    }),
  },
  {
    fault: "inserts what it cannot change",
    noticedBy: "a change of nothing makes nothing",
    change: (sound) => ({
      compareAndSwap: async (row, revision, options) =>
        (await sound.compareAndSwap(row, revision, options)) ||
        ((await placeOf(sound, row)) === undefined && (await sound.insertIfAbsent(row))),
    }),
  },
  {
    fault: "says nothing of a change",
    noticedBy: "a change of nothing makes nothing",
    change: (sound) => ({
      async compareAndSwap(row, revision, options) {
        await sound.compareAndSwap(row, revision, options);
        return true;
      },
    }),
  },
  {
    fault: "changes the state and not the record",
    noticedBy: "a change replaces state, record, proof and revision",
    change: (sound) => ({
      async compareAndSwap(row, revision, options) {
        const before = await placeOf(sound, row, options?.signal);
        return await sound.compareAndSwap({ ...row, record: row.record && (before?.record ?? null) }, revision);
      },
    }),
  },
  {
    fault: "changes every version of the scope",
    noticedBy: "a change replaces state, record, proof and revision",
    change: (sound) => ({
      async compareAndSwap(row, revision, options) {
        const isChanged = await sound.compareAndSwap(row, revision, options);
        for (const other of isChanged ? await sound.list(row.scope) : []) {
          if (other.version !== row.version) await sound.compareAndSwap({ ...other, state: row.state }, other.revision);
        }
        return isChanged;
      },
    }),
  },
  {
    fault: "does not replace the proof",
    noticedBy: "a change replaces state, record, proof and revision",
    change: (sound) => ({
      async compareAndSwap(row, revision, options) {
        const before = await placeOf(sound, row, options?.signal);
        return await sound.compareAndSwap({ ...row, proof: before?.proof ?? null }, revision, options);
      },
    }),
  },
  {
    fault: "keeps the record of what is shredded",
    noticedBy: "a shredded record is gone",
    change: (sound) => ({
      async compareAndSwap(row, revision, options) {
        const before = await placeOf(sound, row, options?.signal);
        return await sound.compareAndSwap({ ...row, record: row.record ?? before?.record ?? null }, revision);
      },
    }),
  },
  {
    fault: "keeps a copy of what was",
    noticedBy: "a shredded record is gone from what keeps the rows",
    change: (sound, { remains }) => ({
      async compareAndSwap(row, revision, options) {
        const before = await placeOf(sound, row, options?.signal);
        if (before?.record) remains.push(before.record);
        return await sound.compareAndSwap(row, revision);
      },
    }),
  },
  {
    fault: "looks whether a version is free, and inserts it later",
    noticedBy: "of many inserts of one version one wins",
    change: (sound) => ({
      async insertIfAbsent(row, options) {
        const rows = await sound.list(row.scope, options);
        if (rows.some(({ version, kid }) => version === row.version || kid === row.kid)) return false;
        await turn();
        return (await sound.insertIfAbsent(row)) || (await swapAny(sound, row));
      },
    }),
  },
  {
    fault: "looks at the revision, and changes the row later",
    noticedBy: "of many changes of one revision one wins",
    change: (sound) => ({
      async compareAndSwap(row, revision, options) {
        const before = await placeOf(sound, row, options?.signal);
        if (before?.revision !== revision) return false;
        await turn();
        return await swapAny(sound, row);
      },
    }),
  },
];

async function placeOf(sound: DataKeyStore, row: StoredDataKey, signal?: AbortSignal): Promise<StoredDataKey | undefined> {
  const rows = await sound.list(row.scope, signal && { signal });
  return rows.find(({ version }) => version === row.version);
}

/** Whatever the revision. */
async function swapAny(sound: DataKeyStore, row: StoredDataKey, signal?: AbortSignal): Promise<boolean> {
  const before = await placeOf(sound, row, signal);
  return before !== undefined && (await sound.compareAndSwap(row, before.revision));
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
