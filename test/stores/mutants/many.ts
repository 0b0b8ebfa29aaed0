import type { DataKeyStore, RowChange } from "../../../src/core/contracts/data-key-store.ts";
import type { Mutant } from "./mutant.ts";

type Swaps = (changes: readonly RowChange[]) => Promise<readonly boolean[]>;

export const MANY_MUTANTS: readonly Mutant[] = [
  {
    fault: "says of all changes what one of them came to",
    noticedBy: "many changes are answered row by row",
    change: many((swap) => async (changes) => {
      const answers = await swap(changes);
      return answers.map(() => answers.includes(true));
    }),
  },
  {
    fault: "makes all changes or none",
    noticedBy: "many changes are answered row by row",
    change: many((swap) => async (changes) => {
      const answers = await swap(changes.slice(0, 1));
      return changes.length === 1 ? answers : changes.map(() => false);
    }),
  },
  {
    fault: "stops at the first change that does not fit",
    noticedBy: "many changes are answered row by row",
    change: many((swap) => async (changes) => {
      const answers: boolean[] = [];
      for (const change of changes) answers.push(!answers.includes(false) && (await swap([change])).includes(true));
      return answers;
    }),
  },
  {
    fault: "answers in the order of its rows",
    noticedBy: "many changes are answered row by row",
    change: many((swap) => (changes) => swap([...changes].sort((a, b) => (a.row.scope < b.row.scope ? -1 : 1)))),
  },
  {
    fault: "answers for the changes alone that it has made",
    noticedBy: "many changes are answered row by row",
    change: many((swap) => async (changes) => (await swap(changes)).filter((isMade) => isMade)),
  },
  {
    fault: "looks at the revision of the first alone",
    noticedBy: "many changes are answered row by row",
    change: (sound) => ({
      async compareAndSwapMany(changes, options) {
        const answers: boolean[] = [];
        options?.signal?.throwIfAborted();
        for (const [at, { row, expectedRevision }] of changes.entries()) {
          const before = (await sound.list(row.scope)).find(({ version }) => version === row.version);
          answers.push(await sound.compareAndSwap(row, at === 0 ? expectedRevision : (before?.revision ?? 0)));
        }
        return answers;
      },
    }),
  },
  {
    fault: "does not replace the proof",
    noticedBy: "many changes replace state, record, proof and revision",
    change: (sound) => ({
      async compareAndSwapMany(changes, options) {
        const kept: RowChange[] = [];
        for (const { row, expectedRevision } of changes) {
          const before = (await sound.list(row.scope)).find(({ version }) => version === row.version);
          kept.push({ row: { ...row, proof: before?.proof ?? null }, expectedRevision });
        }
        return await swapsOf(sound)(kept, options);
      },
    }),
  },
  {
    fault: "keeps the record of what is shredded",
    noticedBy: "many changes replace state, record, proof and revision",
    change: (sound) => ({
      compareAndSwapMany: (changes, options) =>
        swapsOf(sound)(
          changes.map(({ row, expectedRevision }) => ({ row: { ...row, record: row.record ?? new Uint8Array(1) }, expectedRevision })),
          options,
        ),
    }),
  },
  {
    fault: "says of both changes of a row that it made them",
    noticedBy: "of two changes of one row on one revision one is made",
    change: many((swap) => async (changes) => {
      const answers = await swap(changes);
      return changes.map(({ row }) => changes.some((other, at) => other.row.scope === row.scope && answers[at] === true));
    }),
  },
  {
    fault: "makes none of two changes of a row",
    noticedBy: "of two changes of one row on one revision one is made",
    change: many((swap) => async (changes) => {
      const isAlone = ({ row }: RowChange): boolean => changes.filter((other) => other.row.scope === row.scope).length === 1;
      const answers = await swap(changes.filter(isAlone));
      let next = 0;
      return changes.map((change) => isAlone(change) && answers[next++] === true);
    }),
  },
  {
    fault: "looks at all revisions, and changes the rows later",
    noticedBy: "many changes that race change each row once",
    change: (sound) => ({
      async compareAndSwapMany(changes, options) {
        options?.signal?.throwIfAborted();
        const fits: boolean[] = [];
        for (const { row, expectedRevision } of changes)
          fits.push((await sound.list(row.scope)).some((now) => now.version === row.version && now.revision === expectedRevision));
        await new Promise((resolve) => setTimeout(resolve, 0));
        for (const [at, { row }] of changes.entries()) {
          const now = (await sound.list(row.scope)).find(({ version }) => version === row.version);
          if (fits[at] === true && now !== undefined) await sound.compareAndSwap(row, now.revision);
        }
        return fits;
      },
    }),
  },
  {
    fault: "makes the first hundred changes",
    noticedBy: "256 changes at once",
    change: many((swap) => async (changes) => {
      const answers = await swap(changes.slice(0, 100));
      return changes.map((_change, at) => answers[at] ?? false);
    }),
  },
  {
    fault: "does not heed the signal",
    noticedBy: "an aborted signal stops many changes before any is made",
    change: many((swap) => (changes) => swap(changes)),
  },
];

/** A store whose many changes are made over those of a sound one. */
function many(make: (swap: Swaps) => Swaps): Mutant["change"] {
  return (sound) => ({ compareAndSwapMany: make((changes) => swapsOf(sound)(changes)) });
}

function swapsOf(sound: DataKeyStore): NonNullable<DataKeyStore["compareAndSwapMany"]> {
  return async (changes, options) => (await sound.compareAndSwapMany?.(changes, options)) ?? [];
}
