import type { OwnedBytes } from "../base/bytes.ts";
import type { CallOptions, ValueOptions } from "../base/call-options.ts";
import { requireAttached, requireFilled } from "../base/filled.ts";
import { claimedPlaintextBytes } from "../crypto/body-sizes.ts";
import { bodyBytes } from "../crypto/cobblestone.ts";
import { openBody, sealBody } from "../data-key/body.ts";
import { type ParsedHeader, parseDetachedHeader, parseHeader, prepareHeader } from "../format/envelope.ts";
import type { KeyRecord } from "../format/key-record.ts";
import type { WrappedDataKey } from "../key-source/reused-data-key.ts";
import type { Operation } from "../resilience/operation.ts";
import type { BoundOptions, SealingOptions, UnlockedKey } from "../stream/beginning.ts";
import { type EncryptCall, type EncryptOptions, encryptCall, type OpenCall, openCall, type ParsedEnvelope, plainCall } from "./calls.ts";
import { allocate, checkedMinHeaderBytes, type PreparedHeader, sized, written } from "./envelope-bytes.ts";
import type { Operations } from "./operations.ts";
import { isStaleRecord, rewrappedRecord } from "./rewraps.ts";

/** An envelope cut in two: the small header, which rewrap replaces, and the body, which never changes. */
export interface DetachedEnvelope {
  readonly header: Uint8Array;
  readonly body: Uint8Array;
}

/** A detached envelope as the library returns it: header and body each own exactly their ArrayBuffer. */
export interface OwnedDetachedEnvelope {
  readonly header: OwnedBytes;
  readonly body: OwnedBytes;
}

/** The calls of a keyring for envelopes, and the beginnings of its streams. `Keyring` documents them. */
export class Envelopes {
  readonly #operations: Operations;

  constructor(operations: Operations) {
    this.#operations = operations;
  }

  encrypt(plaintext: Uint8Array, options: EncryptOptions): Promise<OwnedBytes> {
    return this.#operations.run(
      "encrypt",
      () => encryptCall(this.#operations.context, options, "encrypt"),
      async (operation, call) => {
        const given = this.#operations.input(plaintext, "plaintext");
        const { length } = given;
        const started = this.#startEncrypt(length, call, operation);
        const { key, header, valueContext } = started instanceof Promise ? await started : started;
        try {
          requireAttached(given, length);
          const envelope = allocate(header.headerBytes + bodyBytes(length));
          header.write(envelope);
          const pending = sealBody(key.dataKey, valueContext, given, envelope, header.headerBytes);
          if (pending !== undefined) await pending;
          return sized(operation, length, envelope);
        } finally {
          key.release();
        }
      },
    );
  }

  encryptDetached(plaintext: Uint8Array, options: EncryptOptions): Promise<OwnedDetachedEnvelope> {
    return this.#operations.run(
      "encrypt",
      () => encryptCall(this.#operations.context, options, "encryptDetached"),
      async (operation, call) => {
        const given = this.#operations.input(plaintext, "plaintext");
        const { length } = given;
        const started = this.#startEncrypt(length, call, operation);
        const { key, header, valueContext } = started instanceof Promise ? await started : started;
        try {
          requireAttached(given, length);
          const body = allocate(bodyBytes(length));
          const pending = sealBody(key.dataKey, valueContext, given, body, 0);
          if (pending !== undefined) await pending;
          return sized(operation, length, { header: written(header), body });
        } finally {
          key.release();
        }
      },
    );
  }

  decrypt(envelope: Uint8Array, options: ValueOptions): Promise<OwnedBytes> {
    const parse = (): ParsedEnvelope => {
      const bytes = this.#operations.input(envelope, "envelope");
      const { record, headerBytes } = parseHeader(bytes);
      return { record, body: bytes.subarray(headerBytes) };
    };
    return this.#operations.run(
      "decrypt",
      () => openCall(this.#operations.context, options, "decrypt", parse),
      (operation, call) => this.#open(call, operation),
    );
  }

  decryptDetached(envelope: DetachedEnvelope, options: ValueOptions): Promise<OwnedBytes> {
    const parse = (): ParsedEnvelope => {
      const { record } = parseDetachedHeader(this.#operations.input(envelope?.header, "header"));
      return { record, body: this.#operations.input(envelope.body, "body") };
    };
    return this.#operations.run(
      "decrypt",
      () => openCall(this.#operations.context, options, "decryptDetached", parse),
      (operation, call) => this.#open(call, operation),
    );
  }

  rewrap(envelope: Uint8Array, options: CallOptions): Promise<OwnedBytes> {
    return this.#operations.run(
      "rewrap",
      () => plainCall(options, "rewrap"),
      async (operation) => {
        const bytes = this.#operations.input(envelope, "envelope");
        const parsed = parseHeader(bytes);
        const body = bytes.subarray(parsed.headerBytes);
        const bodyLength = body.length;
        claimedPlaintextBytes(bodyLength);
        const header = await this.#rewrapped(parsed, operation);
        const rewrapped = allocate(header.headerBytes + bodyLength);
        header.write(rewrapped);
        requireAttached(body, bodyLength);
        rewrapped.set(body, header.headerBytes);
        return requireFilled(rewrapped, header.headerBytes + bodyLength);
      },
    );
  }

  rewrapHeader(header: Uint8Array, options: CallOptions): Promise<OwnedBytes> {
    return this.#operations.run(
      "rewrap",
      () => plainCall(options, "rewrapHeader"),
      async (operation) => written(await this.#rewrapped(parseDetachedHeader(this.#operations.input(header, "header")), operation)),
    );
  }

  needsRewrap(envelope: Uint8Array, options: CallOptions): Promise<boolean> {
    return this.#operations.run(
      "needs-rewrap",
      () => plainCall(options, "needsRewrap"),
      async (operation) => {
        const { record } = parseHeader(this.#operations.input(envelope, "envelope"));
        return await isStaleRecord(this.#operations, record, operation);
      },
    );
  }

  /** Starts a stream. It always has a data key of its own, because the number of bytes that it will seal is not known. */
  startSealing({ valueContext, minHeaderBytes, signal }: SealingOptions): Promise<UnlockedKey & { readonly header: OwnedBytes }> {
    return this.#operations.run(
      "encrypt-stream",
      () => ({ signal }),
      async (operation) => {
        const fresh = (): Promise<WrappedDataKey> => this.#operations.source.fresh(operation);
        const { header, ...unlocked } = await this.#newEnvelope(valueContext(), minHeaderBytes, fresh);
        return { header: written(header), ...unlocked };
      },
    );
  }

  startOpening(record: KeyRecord, { valueContext, signal }: BoundOptions): Promise<UnlockedKey> {
    return this.#operations.run(
      "decrypt-stream",
      () => ({ signal }),
      async (operation) => {
        this.#operations.requireOpen();
        const encoded = valueContext();
        return { key: await this.#operations.source.unwrap(record, operation), valueContext: encoded };
      },
    );
  }

  #startEncrypt(
    plaintextBytes: number,
    { valueContext, minHeaderBytes }: EncryptCall,
    operation: Operation,
  ): Encryption | Promise<Encryption> {
    const { source } = this.#operations;
    return this.#newEnvelope(valueContext, minHeaderBytes, () => source.forEncryption(plaintextBytes, operation));
  }

  #newEnvelope(
    valueContext: Uint8Array,
    minBytes: number | undefined,
    source: () => WrappedDataKey | Promise<WrappedDataKey>,
  ): Encryption | Promise<Encryption> {
    const minHeaderBytes = checkedMinHeaderBytes(minBytes ?? 0);
    this.#operations.requireWrapWith();
    const begin = ({ key, record }: WrappedDataKey): Encryption => {
      try {
        return { key, valueContext, header: prepareHeader(record, minHeaderBytes) };
      } catch (error) {
        key.release();
        throw error;
      }
    };
    const wrapped = source();
    return wrapped instanceof Promise ? wrapped.then(begin) : begin(wrapped);
  }

  async #open({ record, body, bodyLength, plaintextBytes, valueContext }: OpenCall, operation: Operation): Promise<OwnedBytes> {
    const kept = this.#operations.source.unwrap(record, operation);
    const key = kept instanceof Promise ? await kept : kept; // a turn of the queue is a large part of the cost of a hit
    try {
      requireAttached(body, bodyLength);
      const opened = openBody(key.dataKey, valueContext, body, plaintextBytes);
      return sized(operation, plaintextBytes, opened instanceof Promise ? await opened : opened);
    } finally {
      key.release();
    }
  }

  async #rewrapped({ record, headerBytes, paddingBytes }: ParsedHeader, operation: Operation): Promise<PreparedHeader> {
    const rewrapped = await rewrappedRecord(this.#operations, record, operation);
    const tight = prepareHeader(rewrapped, 0);
    return paddingBytes > 0 && tight.headerBytes < headerBytes ? prepareHeader(rewrapped, headerBytes) : tight;
  }
}

interface Encryption extends UnlockedKey {
  readonly header: PreparedHeader;
}
