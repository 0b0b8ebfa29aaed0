import type { KyselyPlugin, PluginTransformQueryArgs, PluginTransformResultArgs, QueryResult, SelectType, UnknownRow } from "kysely";
import { decryptedColumn, type EncryptedColumn, sourceOf } from "./column-cipher.ts";
import { EncryptingTransformer, type Tables } from "./kysely-transformer.ts";

export type { CipherSource, ColumnCipher, EncryptedColumn, IndexedColumn, IndexingCipher } from "./column-cipher.ts";

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
 * A column with an index is compared by it: `=` and `in` are rewritten, and each write fills it. Any other use of an encrypted column
 * but `is null` (a filter, join, sort or group, an expression, a nested query that selects it) is refused with `invalid-argument`
 * before anything is sent. Not seen is what stands in the text of `sql` templates; references in them are.
 *
 * @see docs/recipes/kysely.md
 */
export function encryptedColumns<Database>(tables: EncryptedTables<Database>): KyselyPlugin;
export function encryptedColumns(tables: Tables): KyselyPlugin {
  const transformer = new EncryptingTransformer(tables);
  const outputs = new WeakMap<object, ReadonlyMap<string, EncryptedColumn<unknown>>>();
  return {
    transformQuery({ node, queryId }: PluginTransformQueryArgs) {
      const transformed = transformer.transformQuery(node, queryId);
      outputs.set(queryId, transformed.outputs);
      return transformed.node;
    },
    async transformResult({ queryId, result }: PluginTransformResultArgs): Promise<QueryResult<UnknownRow>> {
      const columns = outputs.get(queryId);
      if (columns === undefined || columns.size === 0) return result;
      return { ...result, rows: result.rows.map((row) => decrypted(row, columns)) };
    },
  };
}

function decrypted(row: UnknownRow, columns: ReadonlyMap<string, EncryptedColumn<unknown>>): UnknownRow {
  const opened = { ...row };
  for (const [name, column] of columns) {
    const stored = row[name];
    if (stored !== null && stored !== undefined) opened[name] = decryptedColumn(sourceOf(column), stored);
  }
  return opened;
}
