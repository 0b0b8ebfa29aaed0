import type { OwnedBytes } from "../base/bytes.ts";
import type { CallOptions, DataKeyOptions } from "../base/call-options.ts";
import type { DataKey } from "../data-key/data-key.ts";
import { encodeKeyRecord, type KeyRecord, parseKeyRecord } from "../format/key-record.ts";
import { plainCall } from "./calls.ts";
import type { Operations } from "./operations.ts";
import { isStaleRecord, rewrappedRecord } from "./rewraps.ts";

/**
 * The calls of a keyring for key records that stand alone. `Keyring` documents them. The library itself uses the calls that take a parsed
 * record, so that a record is parsed once for several calls.
 */
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
    return this.#unwrap(() => this.#parsed(keyRecord), options);
  }

  unwrapParsed(record: KeyRecord, options: DataKeyOptions): Promise<DataKey> {
    return this.#unwrap(() => this.#given(record), options);
  }

  rewrap(keyRecord: Uint8Array, options: DataKeyOptions): Promise<OwnedBytes> {
    return this.#rewrap(() => this.#parsed(keyRecord), options);
  }

  rewrapParsed(record: KeyRecord, options: DataKeyOptions): Promise<OwnedBytes> {
    return this.#rewrap(() => this.#given(record), options);
  }

  needsRewrap(keyRecord: Uint8Array, options: CallOptions): Promise<boolean> {
    return this.#needsRewrap(() => this.#parsed(keyRecord), options);
  }

  parsedNeedsRewrap(record: KeyRecord, options: CallOptions): Promise<boolean> {
    return this.#needsRewrap(() => this.#given(record), options);
  }

  #unwrap(read: () => KeyRecord, options: DataKeyOptions): Promise<DataKey> {
    return this.#operations.runWithin("unwrap-data-key", "unwrapDataKey", options, async (operation, source) => {
      return await source.unwrapOwn(read(), operation);
    });
  }

  #rewrap(read: () => KeyRecord, options: DataKeyOptions): Promise<OwnedBytes> {
    return this.#operations.runWithin("rewrap", "rewrapKeyRecord", options, async (operation, source) => {
      return encodeKeyRecord(await rewrappedRecord(this.#operations, read(), operation, source));
    });
  }

  #needsRewrap(read: () => KeyRecord, options: CallOptions): Promise<boolean> {
    return this.#operations.run(
      "needs-rewrap",
      () => plainCall(options, "keyRecordNeedsRewrap"),
      async (operation) => await isStaleRecord(this.#operations, read(), operation),
    );
  }

  #parsed(keyRecord: Uint8Array): KeyRecord {
    return parseKeyRecord(this.#operations.input(keyRecord, "key record"));
  }

  #given(record: KeyRecord): KeyRecord {
    this.#operations.requireOpen();
    return record;
  }
}
