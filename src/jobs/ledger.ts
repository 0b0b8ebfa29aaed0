import { EnvelockError } from "../core/base/errors.ts";
import type { JobStore } from "../core/contracts/job-store.ts";
import { callWith, type FailureRecord, failureRowOf, parseFailure } from "./records.ts";
import { listedRows } from "./rows.ts";
import type { FailedPlace } from "./work.ts";

/** The failures of a job. A failure does not hold a checkpoint; a whole tenant that fails is one entry. */
export class Ledger {
  readonly #jobs: JobStore;
  readonly #job: string;

  constructor(jobs: JobStore, job: string) {
    this.#jobs = jobs;
    this.#job = job;
  }

  /** Returns the entries of a round, by id. */
  async entries(round: number, signal?: AbortSignal, start: "" | typeof TENANT = ""): Promise<readonly FailureRecord[]> {
    const found: FailureRecord[] = [];
    for await (const row of listedRows(this.#jobs, { kind: "failure", job: this.#job, prefix: start }, signal)) {
      const entry = parseFailure(row);
      if (entry.round === round) found.push(entry);
    }
    return found;
  }

  /** Returns the tenants that failed as a whole in a round, each with its failure. */
  async refused(round: number, signal?: AbortSignal): Promise<Map<string, EnvelockError>> {
    const entries = await this.entries(round, signal, TENANT);
    return new Map(
      entries.map(({ tenant, code, message }) => [tenant ?? "", new EnvelockError(code, message, tenant === null ? {} : { tenant })]),
    );
  }

  /** Writes the failures of a page, each once, and at most so many rows. */
  async write(
    failed: readonly FailedPlace[],
    at: { readonly round: number; readonly part: string; readonly nowMs: number },
    signal?: AbortSignal,
  ): Promise<void> {
    const byId = new Map(failed.map((failure) => [idOf(failure), failure]));
    for (const [id, failure] of [...byId].slice(0, MOST_OF_PAGE)) await this.#note(id, failure, at, signal);
  }

  async #note(
    id: string,
    { error, tenant }: FailedPlace,
    { round, part, nowMs }: { readonly round: number; readonly part: string; readonly nowMs: number },
    signal?: AbortSignal,
  ): Promise<void> {
    const { code, message } = error;
    const entry: FailureRecord = {
      id,
      revision: 1,
      round,
      code,
      message,
      tenant: tenant ?? error.tenant ?? null,
      part,
      tries: 1,
      firstAtMs: nowMs,
    };
    for (let turn = 0; turn < MAX_TURNS; turn++) {
      if (await this.#jobs.insertIfAbsent(failureRowOf(this.#job, entry), callWith(signal))) return;
      const row = await this.#jobs.get({ kind: "failure", job: this.#job, id }, callWith(signal));
      if (row === undefined) continue;
      const known = parseFailure(row);
      if (known.round >= round) return;
      const next = { ...known, revision: known.revision + 1, round, code, message, part, tries: known.tries + 1 };
      if (await this.#jobs.compareAndSwap(failureRowOf(this.#job, next), known.revision, { leaseMs: 0 }, callWith(signal))) return;
    }
  }
}

function idOf({ tenant, place }: FailedPlace): string {
  return tenant === undefined ? `row/${printable(place)}` : `${TENANT}${printable(tenant)}`;
}

/** A text as the id of a row: printable ASCII, each other character by its number. */
function printable(text: string): string {
  return text.replace(/[^\x21-\x24\x26-\x7e]/g, (character) => `%${character.charCodeAt(0).toString(16)};`).slice(0, MOST_CHARACTERS);
}

const TENANT = "tenant/";
const MOST_OF_PAGE = 256;
const MOST_CHARACTERS = 1500;
const MAX_TURNS = 20;
