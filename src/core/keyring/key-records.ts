import type { OwnedBytes } from "../base/bytes.ts";
import type { CallOptions, DataKeyOptions } from "../base/call-options.ts";
import type { DataKey } from "../data-key/data-key.ts";
import { encodeKeyRecord, parseKeyRecord } from "../format/key-record.ts";
import { plainCall } from "./calls.ts";
import type { Operations } from "./operations.ts";
import { isStaleRecord, rewrappedRecord } from "./rewraps.ts";

/** The calls of a keyring for data keys whose key records stand alone. `Keyring` documents them. */
export class KeyRecords {
  readonly #operations: Operations;

  constructor(operations: Operations) {
    this.#operations = operations;
  }

  create(options: DataKeyOptions): Promise<{ readonly dataKey: DataKey; readonly keyRecord: OwnedBytes }> {
    return this.#operations.runWithin("create-data-key", "createDataKey", options, async (operation, source) => {
      this.#operations.requireWrapWith();
      const { key, record } = await source.fresh(operation);
      try {
        return { dataKey: key.dataKey, keyRecord: encodeKeyRecord(record) };
      } catch (error) {
        key.release();
        throw error;
      }
    });
  }

  unwrap(keyRecord: Uint8Array, options: DataKeyOptions): Promise<DataKey> {
    return this.#operations.runWithin("unwrap-data-key", "unwrapDataKey", options, async (operation, source) => {
      return await source.unwrapOwn(parseKeyRecord(this.#operations.input(keyRecord, "key record")), operation);
    });
  }

  rewrap(keyRecord: Uint8Array, options: DataKeyOptions): Promise<OwnedBytes> {
    return this.#operations.runWithin("rewrap", "rewrapKeyRecord", options, async (operation, source) => {
      const record = parseKeyRecord(this.#operations.input(keyRecord, "key record"));
      return encodeKeyRecord(await rewrappedRecord(this.#operations, record, operation, source));
    });
  }

  needsRewrap(keyRecord: Uint8Array, options: CallOptions): Promise<boolean> {
    return this.#operations.run(
      "needs-rewrap",
      () => plainCall(options, "keyRecordNeedsRewrap"),
      async (operation) => {
        const record = parseKeyRecord(this.#operations.input(keyRecord, "key record"));
        return await isStaleRecord(this.#operations, record, operation);
      },
    );
  }
}
