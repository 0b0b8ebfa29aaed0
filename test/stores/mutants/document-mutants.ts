import { EnvelockError } from "../../../src/core/base/errors.ts";

/** A sound store with one fault, and the case that is there to notice it. */
export interface Mutant<Store> {
  /** Ends "a store that …". */
  readonly fault: string;
  readonly noticedBy: string;
  /** What replaces parts of the sound store; called for each store object that a case opens. */
  change(sound: Store, shared: { isClosed: boolean }): Partial<Store>;
}

/** What stores of tenants and stores of jobs have in common. */
export interface DocumentTable<Place, Written, Read, Page> {
  get(place: Place, options?: CallOptions): Promise<Read | undefined>;
  list(page: Page, options?: CallOptions): Promise<readonly Read[]>;
  insertIfAbsent(row: Written, options?: CallOptions): Promise<boolean>;
  compareAndSwap(row: Written, expectedRevision: number, options?: CallOptions): Promise<boolean>;
  close?(): Promise<void>;
}

/** What differs between the kinds of stores. */
export interface DocumentKind<Place, Written, Read> {
  /** The names of two cases. */
  readonly lookalikes: string;
  readonly list: string;
  nameOf(place: Place): string;
  /** Makes a row in a place that has none. */
  invented(place: Place): Read;
  /** Returns the row in a place without capitals. */
  lowered(row: Written): Written;
}

/** The mutants for the cases that both kinds of stores have. */
export function documentMutants<
  Place,
  Written extends Place & { readonly document: string },
  Read extends { readonly id: string; readonly document: string; readonly revision: number },
  Page extends { readonly after?: string | undefined; readonly limit: number },
>(kind: DocumentKind<Place, Written, Read>): readonly Mutant<DocumentTable<Place, Written, Read, Page>>[] {
  return [
    {
      fault: "drops what is not ASCII",
      noticedBy: "a row comes back as it was stored",
      change: (sound) => ({
        insertIfAbsent: (row, options) => sound.insertIfAbsent({ ...row, document: row.document.replace(/[^\x20-\x7e]/g, "") }, options),
      }),
    },
    {
      fault: "gives a row of another place for one that is missing",
      noticedBy: "what is not there is undefined",
      change: (sound) => ({ get: async (place, options) => (await sound.get(place, options)) ?? kind.invented(place) }),
    },
    {
      fault: "replaces what is there",
      noticedBy: "a place that is taken is refused",
      change: (sound) => ({
        async insertIfAbsent(row, options) {
          const taken = await sound.get(row, options);
          return taken === undefined ? await sound.insertIfAbsent(row, options) : await sound.compareAndSwap(row, taken.revision);
        },
      }),
    },
    {
      fault: "does not tell capitals apart",
      noticedBy: kind.lookalikes,
      change: (sound) => ({ insertIfAbsent: (row, options) => sound.insertIfAbsent(kind.lowered(row), options) }),
    },
    {
      fault: "keeps the old document",
      noticedBy: "a change replaces document and revision",
      change: (sound) => ({
        async compareAndSwap(row, revision, options) {
          const before = await sound.get(row, options);
          return before !== undefined && (await sound.compareAndSwap({ ...row, document: before.document }, revision, options));
        },
      }),
    },
    {
      fault: "takes every older revision for the same",
      noticedBy: "a change on another revision is refused",
      change: (sound) => ({
        async compareAndSwap(row, revision, options) {
          const before = await sound.get(row, options);
          return before !== undefined && revision <= before.revision && (await sound.compareAndSwap(row, before.revision));
        },
      }),
    },
    {
      fault: "inserts what it cannot change",
      noticedBy: "a change of nothing makes nothing",
      change: (sound) => ({
        compareAndSwap: async (row, revision, options) =>
          (await sound.compareAndSwap(row, revision, options)) ||
          ((await sound.get(row)) === undefined && (await sound.insertIfAbsent(row))),
      }),
    },
    {
      fault: "lists in the order of an alphabet",
      noticedBy: kind.list,
      change: (sound) => ({
        async list(page) {
          const rows = await sound.list({ ...page, after: undefined, limit: Number.POSITIVE_INFINITY });
          const inOrder = [...rows].sort((a, b) => a.id.localeCompare(b.id, "en"));
          const { after, limit } = page;
          return inOrder.filter(({ id }) => after === undefined || id.localeCompare(after, "en") > 0).slice(0, limit);
        },
      }),
    },
    {
      fault: "gives one row too few",
      noticedBy: "a page has as many rows as it may",
      change: (sound) => ({ list: async (page, options) => (await sound.list(page, options)).slice(0, Math.max(1, page.limit - 1)) }),
    },
    {
      fault: "keeps to itself what it read",
      noticedBy: "other store objects see it at once",
      change(sound) {
        const read = new Map<string, Read | undefined>();
        return {
          async get(place, options) {
            const name = kind.nameOf(place);
            if (!read.has(name)) read.set(name, await sound.get(place, options));
            return read.get(name);
          },
        };
      },
    },
    {
      fault: "says of every insert that it won",
      noticedBy: "of many inserts of one place one wins",
      change: (sound) => ({
        async insertIfAbsent(row, options) {
          const isTaken = (await sound.get(row, options)) !== undefined;
          await sound.insertIfAbsent(row, options);
          return !isTaken;
        },
      }),
    },
    {
      fault: "looks at the revision and then changes",
      noticedBy: "of many changes of one revision one wins",
      change: (sound) => ({
        async compareAndSwap(row, revision, options) {
          if ((await sound.get(row, options))?.revision !== revision) return false;
          await sound.compareAndSwap(row, revision);
          return true;
        },
      }),
    },
    {
      fault: "inserts in spite of the signal",
      noticedBy: "an aborted signal stops it before anything is done",
      change: (sound) => ({ insertIfAbsent: (row) => sound.insertIfAbsent(row) }),
    },
    {
      fault: "closes the others too",
      noticedBy: "close twice is fine, and leaves others open",
      change: (sound, shared) => ({
        async get(place, options) {
          if (shared.isClosed) throw new EnvelockError("closed", "the store was closed");
          return await sound.get(place, options);
        },
        async close() {
          shared.isClosed = true;
        },
      }),
    },
  ];
}

interface CallOptions {
  readonly signal?: AbortSignal;
}
