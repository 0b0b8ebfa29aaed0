import { toHex } from "../../core/base/bytes.ts";
import { check, failureOf } from "../../core/contracts/conformance-checks.ts";

// The contract that stores of tenants and stores of jobs share: rows with a place, a revision and a document.

export interface DocumentRow {
  readonly revision: number;
  readonly document: string;
}

interface CallOptions {
  readonly signal?: AbortSignal;
}

/** The operations that both kinds of store have, each with a row in the place of its place. */
export interface DocumentStore<Row extends DocumentRow> {
  get(place: Row, options?: CallOptions): Promise<Row | undefined>;
  insertIfAbsent(row: Row, options?: CallOptions): Promise<boolean>;
  close?(): Promise<void>;
}

/** Rows in the order of a list, and what is listed with them. */
export interface Listing<Store, Row> {
  readonly rows: readonly Row[];
  /** Rows beside them, which no list of them may give. */
  readonly others: readonly Row[];
  page(store: Store, after: Row | undefined, limit: number): Promise<readonly Row[]>;
  /** Whether a listed row can only be one of `rows` or `others`. */
  isOwn(row: Row): boolean;
}

/** What is different in each kind of store. */
export interface DocumentKind<Store extends DocumentStore<Row>, Row extends DocumentRow> {
  readonly fields: readonly (keyof Row & string)[];
  newRow(): Row;
  /** Makes another row for the place of a row. */
  rival(row: Row): Row;
  /** Returns the row after its next change. */
  changed(row: Row): Row;
  /** Rows at the limits of what a store holds. */
  extremes(): readonly Row[];
  /** Rows whose places look alike. */
  lookalikes(): readonly Row[];
  /** Rows in the order of a list: by character code, not by any language's alphabet. */
  listing(): Listing<Store, Row>;
  /** Lists rows with this one among them. */
  listNear(store: Store, row: Row, options?: CallOptions): Promise<readonly Row[]>;
  swap(store: Store, row: Row, expectedRevision: number, options?: CallOptions): Promise<boolean>;
}

/** The tools of a case: stores that are closed when the case ends. */
export interface DocumentBench<Store> {
  open(): Promise<Store>;
}

/** A case before it is bound to its harness. */
export interface DocumentCase<Bench> {
  readonly name: string;
  run(bench: Bench): Promise<void>;
}

/** Checks of one kind of store, for the cases that only this kind has. */
export class DocumentChecks<Store extends DocumentStore<Row>, Row extends DocumentRow> {
  readonly kind: DocumentKind<Store, Row>;

  constructor(kind: DocumentKind<Store, Row>) {
    this.kind = kind;
  }

  /** Inserts a row that must be new. */
  async insert(store: Store, row: Row): Promise<void> {
    check((await store.insertIfAbsent(row)) === true, "insertIfAbsent must say true of a row whose place is free");
  }

  /** Checks that this row stands in its place and in the list exactly as given. */
  async stands(store: Store, row: Row, what: string): Promise<void> {
    this.same(await store.get(row), row, `get, ${what},`);
    const places = this.kind.fields.filter((field) => field !== "revision" && field !== "document");
    const listed = (await this.kind.listNear(store, row)).filter((other) => places.every((field) => other[field] === row[field]));
    check(listed.length === 1, `list, ${what}, must give the row once`);
    this.same(listed[0], row, `list, ${what},`);
  }

  same(given: Row | undefined, expected: Row, what: string): void {
    check(given !== undefined, `${what} must give the row`);
    for (const field of this.kind.fields) check(given?.[field] === expected[field], `${what} must give ${field} as it was stored`);
  }

  /** Races 24 attempts over several stores. @returns the row of the one that won */
  async winnerOf(
    stores: readonly Store[],
    make: () => Row,
    attempt: (store: Store, row: Row) => Promise<boolean>,
    what: string,
  ): Promise<Row> {
    const attempts = Array.from({ length: RACERS }, make).map(async (row, place) => {
      const store = stores[place % stores.length];
      return store !== undefined && (await attempt(store, row)) === true ? [row] : [];
    });
    const winners = (await Promise.all(attempts)).flat();
    const [winner] = winners;
    check(winner !== undefined && winners.length === 1, `${winners.length} of ${RACERS} ${what} won, and one must`);
    return winner ?? make();
  }
}

/** The cases, with those of the kind alone before the last two. */
export function documentCases<Store extends DocumentStore<Row>, Row extends DocumentRow, Bench extends DocumentBench<Store>>(
  checks: DocumentChecks<Store, Row>,
  names: { readonly lookalikes: string; readonly list: string },
  own: readonly DocumentCase<Bench>[] = [],
): readonly DocumentCase<Bench>[] {
  const bound = (name: string, run: (checks: DocumentChecks<Store, Row>, bench: DocumentBench<Store>) => Promise<void>) => ({
    name,
    run: (bench: Bench) => run(checks, bench),
  });
  return [
    bound("a row comes back as it was stored", keepsRows),
    bound("what is not there is undefined", findsNothing),
    bound("a place that is taken is refused", refusesTaken),
    bound(names.lookalikes, tellsPlacesApart),
    bound("a change replaces document and revision", changesRows),
    bound("a change on another revision is refused", refusesStale),
    bound("a change of nothing makes nothing", changesNothing),
    bound(names.list, listsInOrder),
    bound("a page has as many rows as it may", fillsPages),
    bound("other store objects see it at once", isSeenByOthers),
    bound("of many inserts of one place one wins", insertsOnce),
    bound("of many changes of one revision one wins", changesOnce),
    ...own,
    bound("an aborted signal stops it before anything is done", heedsSignal),
    bound("close twice is fine, and leaves others open", closes),
  ];
}

type Run = <Store extends DocumentStore<Row>, Row extends DocumentRow>(
  checks: DocumentChecks<Store, Row>,
  bench: DocumentBench<Store>,
) => Promise<void>;

const keepsRows: Run = async (checks, { open }) => {
  const store = await open();
  const rows = checks.kind.extremes();
  for (const row of rows) await checks.insert(store, row);
  for (const row of rows) await checks.stands(store, row, "of a row that was inserted");
};

const findsNothing: Run = async ({ kind }, { open }) => {
  const store = await open();
  check((await store.get(kind.newRow())) === undefined, "get must give undefined for a place without a row");
};

const refusesTaken: Run = async (checks, { open }) => {
  const store = await open();
  const row = checks.kind.newRow();
  await checks.insert(store, row);
  const refused = await store.insertIfAbsent(checks.kind.rival(row));
  check(refused === false, "insertIfAbsent must say false of a place that is taken");
  await checks.stands(store, row, "after an insert that was refused");
};

const tellsPlacesApart: Run = async (checks, { open }) => {
  const store = await open();
  const rows = checks.kind.lookalikes();
  for (const row of rows) await checks.insert(store, row);
  for (const row of rows) await checks.stands(store, row, "of places that look alike");
};

const changesRows: Run = async (checks, { open }) => {
  const { kind } = checks;
  const store = await open();
  let row = kind.newRow();
  await checks.insert(store, row);
  for (let turn = 0; turn < 3; turn++) {
    const next = kind.changed(row);
    check((await kind.swap(store, next, row.revision)) === true, "compareAndSwap must say true when the revision fits");
    await checks.stands(store, next, "after a change");
    row = next;
  }
};

const refusesStale: Run = async (checks, { open }) => {
  const { kind } = checks;
  const store = await open();
  const row = { ...kind.newRow(), revision: 5 };
  await checks.insert(store, row);
  for (const revision of [1, 4, 6])
    check(
      (await kind.swap(store, { ...row, document: "{}", revision: revision + 1 }, revision)) === false,
      "compareAndSwap must say false when the revision is another",
    );
  await checks.stands(store, row, "after changes that were refused");
};

const changesNothing: Run = async ({ kind }, { open }) => {
  const store = await open();
  const row = { ...kind.newRow(), revision: 2 };
  check((await kind.swap(store, row, 1)) === false, "compareAndSwap must say false of a place without a row");
  check((await store.get(row)) === undefined, "compareAndSwap of a place without a row must make none");
};

const listsInOrder: Run = async (checks, { open }) => {
  const store = await open();
  const listing = await inserted(checks, store);
  for (const limit of [1, 2, 1000]) {
    const listed = await listedBy(store, listing, limit);
    check(listed.length === listing.rows.length, `a list by pages of ${limit} must give each row once`);
    for (const [place, row] of listing.rows.entries()) checks.same(listed[place], row, `a list by pages of ${limit}, in the order of ids,`);
  }
};

const fillsPages: Run = async (checks, { open }) => {
  const store = await open();
  const { rows, page } = await inserted(checks, store);
  for (const limit of [1, rows.length - 1, rows.length]) {
    const found = await page(store, undefined, limit);
    check(found.length === limit, `a page of a list must have ${limit} rows while enough are left`);
  }
};

const isSeenByOthers: Run = async (checks, { open }) => {
  const { kind } = checks;
  const [one, other] = [await open(), await open()];
  const row = kind.newRow();
  check((await other.get(row)) === undefined, "get must give undefined before the insert");
  await checks.insert(one, row);
  await checks.stands(other, row, "of another store object after the insert");
  const next = kind.changed(row);
  check((await kind.swap(one, next, 1)) === true, "compareAndSwap must say true when the revision fits");
  await checks.stands(other, next, "of another store object after the change");
};

const insertsOnce: Run = async (checks, { open }) => {
  const stores = [await open(), await open(), await open()];
  const row = checks.kind.newRow();
  const make = () => checks.kind.rival(row);
  const winner = await checks.winnerOf(stores, make, (store, rival) => store.insertIfAbsent(rival), "inserts of one place");
  for (const store of stores) await checks.stands(store, winner, "after a race, by the one that won,");
};

const changesOnce: Run = async (checks, { open }) => {
  const { kind } = checks;
  const first = await open();
  const stores = [first, await open(), await open()];
  const row = kind.newRow();
  await checks.insert(first, row);
  const make = () => kind.changed(row);
  const winner = await checks.winnerOf(stores, make, (store, next) => kind.swap(store, next, 1), "changes of one revision");
  for (const store of stores) await checks.stands(store, winner, "after a race, by the one that won,");
};

const heedsSignal: Run = async (checks, { open }) => {
  const { kind } = checks;
  const store = await open();
  const row = kind.newRow();
  await checks.insert(store, row);
  const other = kind.newRow();
  const reason = new Error("the caller's reason");
  const options = { signal: AbortSignal.abort(reason) };
  const operations: readonly [string, () => Promise<unknown>][] = [
    ["get", () => store.get(row, options)],
    ["list", () => kind.listNear(store, row, options)],
    ["insertIfAbsent", () => store.insertIfAbsent(other, options)],
    ["compareAndSwap", () => kind.swap(store, kind.changed(row), 1, options)],
  ];
  for (const [name, operation] of operations) {
    const failure = await failureOf(operation, `${name} with an aborted signal`);
    check(failure === reason, `${name} with an aborted signal must fail with the signal's own reason`);
  }
  await checks.stands(store, row, "after calls that were aborted");
  check((await store.get(other)) === undefined, "an insert that was aborted must leave no row");
};

const closes: Run = async (checks, { open }) => {
  const [one, other] = [await open(), await open()];
  const row = checks.kind.newRow();
  await checks.insert(one, row);
  await one.close?.();
  await one.close?.();
  await checks.stands(other, row, "of a store beside one that was closed");
};

async function inserted<Store extends DocumentStore<Row>, Row extends DocumentRow>(
  checks: DocumentChecks<Store, Row>,
  store: Store,
): Promise<Listing<Store, Row>> {
  const listing = checks.kind.listing();
  for (const row of [...listing.rows].reverse()) await checks.insert(store, row);
  for (const row of listing.others) await checks.insert(store, row);
  return listing;
}

async function listedBy<Store, Row>(store: Store, { page, isOwn }: Listing<Store, Row>, limit: number): Promise<readonly Row[]> {
  const listed: Row[] = [];
  for (let after: Row | undefined; ; ) {
    const own = (await page(store, after, limit)).filter(isOwn);
    listed.push(...own);
    after = own.at(-1);
    if (own.length < limit || listed.length > MOST_ROWS) return listed;
  }
}

/** Makes an id that no case has used. */
export function newId(): string {
  return toHex(crypto.getRandomValues(new Uint8Array(16)));
}

/** Makes a document that no other row has. */
export function newDocument(): string {
  return JSON.stringify({ nonce: newId() });
}

/** The ends of ids whose order by character code is that of no alphabet. */
export const ORDERED_ENDS: readonly string[] = ["!", "-", "A", "_", "a", "aA"];
/** Ends of ids that a careless comparison takes for one another. */
export const ALIKE_ENDS: readonly string[] = ["a", "A", "a-", "a_", "a%", "aa"];
/** Every printable character but letters and digits, which each store must take as it is. */
export const ODD_CHARACTERS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
/** A document that a careless statement breaks. */
export const ODD_DOCUMENT = '{"quote":"it\'s","line":"a\\nb","zero":"\\u0000"}';
const RACERS = 24;
/** A list that does not move on would never end. */
const MOST_ROWS = 100;
