import type { KyselyPlugin, PluginTransformQueryArgs, PluginTransformResultArgs, QueryResult, SelectType, UnknownRow } from "kysely";
import { refuseUnknown } from "../core/base/options.ts";
import { ADAPTER_OPTIONS, type AdapterOptions, type EncryptedColumn } from "./encrypted-column.ts";
import type { QueryOutputs } from "./kysely/outputs.ts";
import { rewritten } from "./kysely/rewriter.ts";
import { GuardedTables, type TablesOption } from "./kysely/tables.ts";

export type {
  AdapterOptions,
  CipherSource,
  ColumnPlace,
  EncryptedColumn,
  IndexedColumn,
  IndexingCipher,
  TokenCipher,
} from "./encrypted-column.ts";

/** Columns by table, as the interface of the database names and types them. */
export type EncryptedTables<Database> = {
  readonly [Table in keyof Database]?: {
    readonly [Column in keyof Database[Table]]?: EncryptedColumn<
      NonNullable<SelectType<Database[Table][Column]>>,
      keyof Database[Table] & string
    >;
  };
};

/**
 * A plugin that encrypts what queries write into the named columns, and decrypts what they select or return of them. NULL stays NULL.
 *
 * A column with an index is compared by it: `=` and `in` are rewritten, and each write fills it. A query that names a table with
 * encrypted columns may hold only what the table in docs/recipes/kysely.md lists. Anything else is refused with `invalid-argument`
 * before it is sent. `db.withoutPlugins()` runs a statement where tokens stay tokens.
 *
 * @param tables the columns, by table. A table is named as queries name it; without a schema it stands for the table of any schema
 * @throws `invalid-argument` for what is no cipher, and for unknown options
 * @example
 * ```ts
 * import type { FieldCipher } from "envelock/fields";
 * import { encryptedColumns } from "envelock/kysely";
 * import { type Dialect, Kysely } from "kysely";
 *
 * interface Database {
 *   users: { email: string; email_index: string };
 * }
 *
 * export async function find(dialect: Dialect, email: FieldCipher<string>) {
 *   const plugin = encryptedColumns<Database>({ users: { email: { cipher: email, indexColumn: "email_index" } } });
 *   const db = new Kysely<Database>({ dialect, plugins: [plugin] });
 *   return await db.selectFrom("users").selectAll().where("email", "=", "ada@example.org").execute();
 * }
 * ```
 * @see docs/recipes/kysely.md
 */
export function encryptedColumns<Database>(tables: EncryptedTables<Database>, options?: AdapterOptions): KyselyPlugin;
export function encryptedColumns(tables: TablesOption, options: AdapterOptions = {}): KyselyPlugin {
  refuseUnknown(options, ADAPTER_OPTIONS, "encryptedColumns");
  const guarded = new GuardedTables(tables);
  const outputs = new WeakMap<object, QueryOutputs>();
  return {
    transformQuery({ node, queryId }: PluginTransformQueryArgs) {
      const query = rewritten(node, guarded);
      outputs.set(queryId, query.outputs);
      return query.node;
    },
    async transformResult({ queryId, result }: PluginTransformResultArgs): Promise<QueryResult<UnknownRow>> {
      const columns = outputs.get(queryId);
      return columns === undefined || columns.isEmpty ? result : { ...result, rows: columns.opened(result.rows, options) };
    },
  };
}
