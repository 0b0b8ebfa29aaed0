import { engine } from "#engine";
import { ascii, utf8 } from "../core/base/bytes.ts";
import type { StoredDataKey } from "../core/contracts/data-key-store.ts";

/**
 * Remembers of each scope, for as long as the process lives, that it was shredded and what the store has shown of it. Holds no key and
 * evicts nothing: a scope stays after its keys were evicted, with about 300 bytes on Node.
 */
export class ScopeLedger {
  readonly #seen = new Map<string, Seen>();
  readonly #shredded = new Set<string>();

  /** The number of scopes that it remembers. */
  get size(): number {
    return this.#seen.size + this.#shredded.size;
  }

  isShredded(scope: string): boolean {
    return this.#shredded.size > 0 && this.#shredded.has(nameOf(scope));
  }

  markShredded(scope: string): void {
    const name = nameOf(scope);
    this.#seen.delete(name);
    this.#shredded.add(name);
  }

  /** Whether the store has ever shown a row of the scope. */
  hasSeen(scope: string): boolean {
    return this.#seen.has(nameOf(scope));
  }

  /** The kid of the first version that was shown, or undefined if none was. */
  firstKid(scope: string): string | undefined {
    return this.#seen.get(nameOf(scope))?.firstKid;
  }

  /** Remembers rows that are believed, all of the scope in the order of their versions. */
  note(scope: string, rows: readonly StoredDataKey[]): void {
    const [first] = rows;
    if (first === undefined) return;
    const revisions = rows.reduce((sum, row) => sum + row.revision, 0);
    this.#seen.set(nameOf(scope), { firstKid: first.kid, versions: rows.length, revisions, digest: digestOf(rows) });
  }

  /** Whether the store shows less than it has shown, or something else. */
  isLost(scope: string, rows: readonly StoredDataKey[]): boolean {
    const seen = this.#seen.get(nameOf(scope));
    if (seen === undefined) return false;
    const revisions = rows.slice(0, seen.versions).reduce((sum, row) => sum + row.revision, 0);
    return revisions < seen.revisions || this.knownVersions(scope, rows) < seen.versions;
  }

  /** The number of rows, from the first, that are the very ones that were believed before. */
  knownVersions(scope: string, rows: readonly StoredDataKey[]): number {
    const seen = this.#seen.get(nameOf(scope));
    if (seen === undefined || rows.length < seen.versions) return 0;
    return digestOf(rows.slice(0, seen.versions)) === seen.digest ? seen.versions : 0;
  }
}

interface Seen {
  readonly firstKid: string;
  readonly versions: number;
  /** The sum of the revisions, which only grows. */
  readonly revisions: number;
  /** The digest of version, kid and date of each row. */
  readonly digest: string;
}

/** Returns a short name, however long the scope is. A shorter text stands for itself: no digest has its length. */
function nameOf(scope: string): string {
  return scope.length < DIGEST_CHARACTERS ? scope : digest(scope);
}

function digestOf(rows: readonly StoredDataKey[]): string {
  return digest(rows.map(({ version, kid, createdAtMs }) => `${version} ${kid} ${createdAtMs}`).join("\n"));
}

function digest(text: string): string {
  return engine.text.toBase64Url(engine.hmac("sha512", LABEL, utf8(text)), 32);
}

/** A fixed key: the digest must tell texts apart, and hides nothing. */
const LABEL: Uint8Array = ascii("envelock/scope-ledger");
const DIGEST_CHARACTERS = 43;
