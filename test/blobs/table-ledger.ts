import type { BlobKey, BlobLedger } from "../../src/blobs/index.ts";

/** A ledger as a table of an application would be: one row for each key of each header. */
export class TableLedger implements BlobLedger {
  rows: readonly (BlobKey & { readonly name: string; readonly header: string })[] = [];
  /** What the next note ends in. */
  fault: Error | undefined;

  async note(name: string, header: string, keys: readonly BlobKey[]): Promise<void> {
    if (this.fault !== undefined) throw this.fault;
    this.rows = [...this.#others(name, header), ...keys.map((key) => ({ ...key, name, header }))];
  }

  async drop(name: string, header: string): Promise<void> {
    this.rows = this.#others(name, header);
  }

  async *find({ provider, keyId }: BlobKey): AsyncGenerator<string> {
    const found = this.rows.filter((row) => row.provider === provider && row.keyId === keyId);
    yield* new Set(found.map(({ name }) => name));
  }

  #others(name: string, header: string): TableLedger["rows"] {
    return this.rows.filter((row) => row.name !== name || row.header !== header);
  }
}
