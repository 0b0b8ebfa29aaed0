import { listed, markedHeadIn } from "../blobs/blob-search.ts";
import { type BlobTable, blobTableOf } from "../blobs/blob-table.ts";
import type { EncryptedStore } from "../blobs/encrypted-store.ts";
import { isBlobMissing, shown } from "../blobs/failures.ts";
import { keysOf } from "../blobs/key-digest.ts";
import { EnvelockError, invalidArgument } from "../core/base/errors.ts";
import { inspectKeyRecord } from "../core/keyring/inspect.ts";
import { AnswersByNames } from "../fields/jobs/answers.ts";
import { namesIn } from "../fields/jobs/key-versions.ts";
import { Marks } from "../fields/jobs/marks.ts";
import { inParallel } from "../fields/jobs/pages.ts";
import { askedBounds } from "./bounds.ts";
import { type Bound, callWith, countOf } from "./records.ts";
import { type CallBudget, checkedBudgets, kindOfVerification, requireNotRefused, takeCalls, type Verification } from "./rewrap-terms.ts";
import type { Cuts, FailedPlace, JobWork, SliceTask } from "./work.ts";

export interface BlobWorkOptions {
  readonly blobs: EncryptedStore;
  /** The name of the container, bucket or folder, such as `az://acme/invoices`. A worker whose container is another leaves the job alone. */
  readonly container: string;
  /** Only blobs whose names begin with this. */
  readonly prefix?: string;
  /**
   * Returns texts in ascending order, at most `n`, at which names are cut into parts of about the same size: `["4", "8", "c"]` for names that
   * are random hex. Their characters are below U+D800. By default all names are listed to find them.
   */
  readonly bounds?: (n: number) => readonly string[] | Promise<readonly string[]>;
  /** Limits of calls of key services, where `of` gets the context of a blob. Default: none. */
  readonly budgets?: readonly CallBudget[];
  /**
   * What the verification does with each blob. `names` reads its header and counts the KEK versions that it names. `unwrap` also opens its
   * first and last chunk: an unwrap and three reads. Default `names`. The same in every process of a job.
   */
  readonly verification?: Verification;
}

/** Makes the work of a rewrap of the headers of blobs. @throws `invalid-argument` */
export function blobWork({ blobs, container, prefix, bounds, budgets = [], verification }: BlobWorkOptions): JobWork {
  const table = blobTableOf(blobs);
  const limits = checkedBudgets(budgets);
  if (typeof container !== "string" || !CONTAINER.test(container))
    throw invalidArgument("container is 1 to 200 printable ASCII characters without spaces");
  if (prefix !== undefined && typeof prefix !== "string") throw invalidArgument("prefix is text");
  if (bounds !== undefined && typeof bounds !== "function") throw invalidArgument("bounds is a function");
  const names: Names = ({ after, to }, signal) => namesOf(table, prefix, { after, to }, signal);
  return {
    kind: `rewrap-blobs/1${kindOfVerification(verification)}:${container}${prefix === undefined ? "" : ` ${encodeURIComponent(prefix)}`}`,
    hasVerify: true,
    rates: limits.map(({ perSecond, share }) => perSecond * share),
    prepare: (signal) => targetOf(table, signal),
    async cuts({ after, to, ...wanted }: Cuts, signal) {
      if (bounds !== undefined && after === undefined && to === undefined)
        return { rows: 0, bounds: requireBounds(await askedBounds(bounds, wanted)) };
      return await walkedNames(names({ after: nameIn(after), to: nameIn(to) }, signal), wanted);
    },
    run: (task) => runSlice({ blobs, table, limits, names, opens: task.phase === "verify" && verification === "unwrap" }, task),
  };
}

type Names = (range: Range, signal: AbortSignal | undefined) => AsyncGenerator<string, void, undefined>;

interface Range {
  readonly after: string | undefined;
  readonly to: string | undefined;
}

interface BlobTerms {
  readonly blobs: EncryptedStore;
  readonly table: BlobTable;
  readonly limits: readonly Required<CallBudget>[];
  readonly names: Names;
  /** Whether each blob is opened. */
  readonly opens: boolean;
}

/** The KEK versions of new blobs. They open here, so that a worker that could not read its own wraps never begins. */
async function targetOf({ keyring }: BlobTable, signal: AbortSignal | undefined): Promise<readonly string[]> {
  const { dataKey, keyRecord } = await keyring.createDataKey(callWith(signal));
  dataKey.destroy();
  (await keyring.unwrapDataKey(keyRecord, callWith(signal))).destroy();
  return namesIn(inspectKeyRecord(keyRecord));
}

/** Lists the names of a range. Every order of a store puts a name on the same side of a bound, because of its characters. */
async function* namesOf(
  { places }: BlobTable,
  prefix: string | undefined,
  { after, to }: Range,
  signal: AbortSignal | undefined,
): AsyncGenerator<string, void, undefined> {
  const page = { ...(prefix !== undefined && { prefix }), ...(after !== undefined && { after }) };
  for await (const { name } of listed(places, page, signal)) {
    if (to !== undefined && name > to) return;
    yield name;
  }
}

async function walkedNames(
  names: AsyncIterable<string>,
  wanted: Pick<Cuts, "least" | "most" | "rowsEach">,
): Promise<{ readonly rows: number; readonly bounds: readonly string[] }> {
  const marks = new Marks<string>();
  for await (const name of names) marks.add(name);
  return { rows: marks.rows, bounds: marks.cuts(wanted).filter((name) => BOUND.test(name)) };
}

/** @throws `invalid-argument` */
function requireBounds(bounds: readonly string[]): readonly string[] {
  const isGood = (bound: unknown, at: number): boolean =>
    typeof bound === "string" && BOUND.test(bound) && (at === 0 || bound > (bounds[at - 1] ?? ""));
  if (Array.isArray(bounds) && bounds.every(isGood)) return bounds;
  throw invalidArgument("bounds gives a list of texts in ascending order, each of characters below U+D800");
}

async function runSlice(terms: BlobTerms, task: SliceTask): Promise<boolean> {
  const { signal, concurrency, from, to, after } = task;
  const counts: Record<string, number> = { ...NO_COUNTS, ...task.counts };
  const keyVersions: Record<string, number> = { ...task.keyVersions };
  const range = { after: nameIn(from), to: nameIn(to) };
  const names = terms.names({ ...range, after: checkpointIn(after, range) ?? range.after }, signal);
  for (;;) {
    const page = await pageOf(names);
    const last = page.at(-1);
    if (last === undefined) return true;
    const failed: FailedPlace[] = [];
    const before = countOf(counts, "rewrapped");
    const areStale = new AnswersByNames(); // for each page: a KEK may be rotated meanwhile
    await inParallel(page, concurrency, signal, async (name) => {
      count(counts, "rows");
      try {
        for (const outcome of await settled(name, { ...terms, task, areStale, keyVersions })) count(counts, outcome);
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof EnvelockError)) throw error;
        count(counts, "failed");
        failed.push({ place: name, error, tenant: undefined, isThrottled: error.retryable });
      }
    });
    const errors = failed.map(({ error }) => error);
    requireNotRefused(errors, countOf(counts, "rewrapped") > before);
    if (!(await task.afterPage({ last, counts: { ...counts }, keyVersions: { ...keyVersions }, failed }))) return false;
  }
}

/** Works on one blob. @returns what to count. @throws the failure of the blob */
async function settled(
  name: string,
  { blobs, table, limits, opens, task, areStale, keyVersions }: BlobTerms & BlobTask,
): Promise<readonly (keyof typeof NO_COUNTS)[]> {
  const { phase, signal } = task;
  const head = await markedHeadIn(table.places, name, signal);
  if (head === undefined || head === "foreign") return ["read", head ?? "gone"];
  const names = namesIn({ recipients: keysOf(head.header) });
  for (const version of names) keyVersions[version] = countOf(keyVersions, version) + 1;
  const mustRewrap = table.mustFold(head) || (await areStale.of(names, () => table.keyring.needsRewrap(head.header, callWith(signal))));
  const found = mustRewrap ? (["read", "stale"] as const) : (["read"] as const);
  if (opens) {
    await takeCalls(limits, table.contextOf(name), task);
    if ((await unlessGone(() => blobs.verify(name, "ends", callWith(signal)))) === "gone") return ["read", "gone"];
  }
  if (phase === "verify" || !mustRewrap) return found;
  await takeCalls(limits, table.contextOf(name), task);
  const outcome = await unlessGone(() => blobs.rewrap(name, callWith(signal)));
  if (outcome === "not-possible") throw notPossible(name);
  return outcome === "rewrapped" || outcome === "gone" ? [...found, outcome] : found;
}

interface BlobTask {
  readonly task: SliceTask;
  /** Whether headers are to be wrapped anew. */
  readonly areStale: AnswersByNames;
  readonly keyVersions: Record<string, number>;
}

async function unlessGone<T>(work: () => Promise<T>): Promise<T | "gone"> {
  try {
    return await work();
  } catch (error) {
    if (isBlobMissing(error)) return "gone";
    throw error;
  }
}

async function pageOf(names: AsyncGenerator<string, void, undefined>): Promise<readonly string[]> {
  const page: string[] = [];
  while (page.length < PAGE_BLOBS) {
    const next = await names.next();
    if (next.done === true) break;
    page.push(next.value);
  }
  return page;
}

function count(counts: Record<string, number>, name: keyof typeof NO_COUNTS): void {
  counts[name] = countOf(counts, name) + 1;
}

function nameIn(bound: Bound | SliceTask["after"] | undefined): string | undefined {
  if (bound === null || bound === undefined) return undefined;
  if (typeof bound === "string") return bound;
  throw new EnvelockError("provider-failure", "the store holds a partition of blobs whose end is no name");
}

/** @throws `provider-failure` for a checkpoint outside of its partition */
function checkpointIn(after: SliceTask["after"], { after: from, to }: Range): string | undefined {
  const name = nameIn(after);
  if (name === undefined || ((from === undefined || name > from) && (to === undefined || name <= to))) return name;
  throw new EnvelockError("provider-failure", "the store holds a partition of blobs whose checkpoint lies outside of it");
}

function notPossible(name: string): EnvelockError {
  return new EnvelockError("provider-failure", `the store cannot replace the header of blob ${shown(name)}`, {
    hint: "It may be archived, leased, on hold, or too large for its store to write anew. docs/blobs.md says what each store cannot rewrap.",
  });
}

const NO_COUNTS = { rows: 0, failed: 0, read: 0, stale: 0, rewrapped: 0, gone: 0, foreign: 0 };
const PAGE_BLOBS = 256;
const CONTAINER = /^[\x21-\x7e]{1,200}$/;
/** Stores order names by their UTF-8 or their UTF-16. Both put such a text on the same side of every name. */
const BOUND = /^[^\ud800-\uffff]+$/;
