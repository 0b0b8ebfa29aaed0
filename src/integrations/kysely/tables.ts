import type { SchemableIdentifierNode } from "kysely";
import { invalidArgument } from "../../core/base/errors.ts";
import { requireNamed } from "../../core/base/options.ts";
import { checkColumn, type EncryptedColumn, indexColumnOf } from "../encrypted-column.ts";

/** Columns by table, as `encryptedColumns` takes them. A table is named as queries name it, with its schema or without. */
export type TablesOption = Readonly<Record<string, Readonly<Record<string, EncryptedColumn<unknown> | undefined>> | undefined>>;

/** A column that must not be used as it stands: one of tokens, or one of blind indexes. */
export interface GuardedColumn {
  /** The name of the column itself. */
  readonly name: string;
  readonly role: "index" | "token";
  /** The encrypted column; for an index the one that it belongs to. */
  readonly column: EncryptedColumn<unknown>;
  readonly table: GuardedTable;
}

/** A table with encrypted columns. */
export class GuardedTable {
  readonly name: string;
  readonly columns: ReadonlyMap<string, GuardedColumn>;
  readonly #folded: ReadonlyMap<string, string>;

  /** @throws `invalid-argument` */
  constructor(name: string, columns: NonNullable<TablesOption[string]>) {
    requireNamed(columns, `${name} takes encrypted columns by name`);
    const guarded = new Map<string, GuardedColumn>();
    const add = (column: GuardedColumn): void => {
      if (guarded.has(column.name)) throw invalidArgument(`${name}.${column.name} is named twice`);
      guarded.set(column.name, column);
    };
    for (const [columnName, column] of Object.entries(columns)) {
      if (column === undefined) continue;
      checkColumn(column, `${name}.${columnName}`);
      add({ name: columnName, role: "token", column, table: this });
      const index = indexColumnOf(column);
      if (index !== undefined) add({ name: index, role: "index", column, table: this });
    }
    this.name = name;
    this.columns = guarded;
    this.#folded = new Map([...guarded.keys()].map((each) => [folded(each), each]));
  }

  /** The column of this name. @throws `invalid-argument` for a name that differs from one in case alone: databases disagree about it */
  column(name: string): GuardedColumn | undefined {
    const found = this.columns.get(name);
    const near = this.#folded.get(folded(name));
    if (found === undefined && near !== undefined) throw spelling(`${this.name}.${name}`, near);
    return found;
  }

  get tokens(): readonly GuardedColumn[] {
    return [...this.columns.values()].filter(({ role }) => role === "token");
  }
}

/** The tables of one plugin. */
export class GuardedTables {
  readonly #tables: ReadonlyMap<string, GuardedTable>;

  /** @throws `invalid-argument` */
  constructor(option: TablesOption) {
    requireNamed(option, "encryptedColumns takes columns by table");
    this.#tables = new Map(
      Object.entries(option).flatMap(([name, columns]) => (columns === undefined ? [] : [[name, new GuardedTable(name, columns)]])),
    );
  }

  /**
   * The table that a query names. One that is configured without a schema stands for the table of any schema that is not configured
   * itself.
   *
   * @returns undefined if it has no encrypted columns
   * @throws `invalid-argument` if that is not certain
   */
  find({ schema, identifier: { name } }: SchemableIdentifierNode): GuardedTable | undefined {
    const full = schema === undefined ? name : `${schema.name}.${name}`;
    const found = this.#tables.get(full) ?? this.#tables.get(name);
    if (found !== undefined) return found.columns.size === 0 ? undefined : found;
    for (const [configured, { columns }] of this.#tables) {
      if (columns.size === 0) continue;
      if (folded(configured) === folded(full) || folded(configured) === folded(name)) throw spelling(full, configured);
      if (schema === undefined && folded(nameOf(configured)) === folded(name)) {
        throw invalidArgument(`${name} may be ${configured}, which has encrypted columns`, "Name the table with its schema.");
      }
    }
    return undefined;
  }

  /** Names of the tables without their schemas. */
  get names(): readonly string[] {
    return [...this.#tables].filter(([, { columns }]) => columns.size > 0).map(([name]) => nameOf(name));
  }

  /** Whether a name could be that of a table with encrypted columns, however it is spelt. */
  mayName(name: string): boolean {
    return this.names.some((each) => folded(each) === folded(name));
  }
}

/** A name as databases compare those that are not quoted. */
export function folded(name: string): string {
  return name.toLowerCase();
}

function nameOf(table: string): string {
  return table.slice(table.lastIndexOf(".") + 1);
}

function spelling(found: string, known: string): Error {
  return invalidArgument(`${found} differs in case alone from ${known}, which is encrypted`, "Spell it as the plugin's tables do.");
}
