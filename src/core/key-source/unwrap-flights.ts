import { equalPublicBytes, readUint32 } from "../base/bytes.ts";
import type { KeyContext } from "../base/context.ts";
import { EnvelockError } from "../base/errors.ts";
import { waitFor } from "../base/wait.ts";
import type { Recipient } from "../contracts/key-provider.ts";
import type { KeyRecord } from "../format/key-record.ts";
import type { Operation } from "../resilience/operation.ts";
import type { SharedDataKey } from "./shared-data-key.ts";

/** Shares one unwrap among all callers of a keyring that ask for the same key record and key context at the same time. */
export class UnwrapFlights {
  readonly #flights = new Map<number, Flight>();

  /** How many are in flight. */
  get size(): number {
    return this.#flights.size;
  }

  /**
   * Joins the flight of this record, or starts it. An aborted caller leaves the flight; the flight ends when the last caller leaves.
   *
   * @param operation bounds a flight that is started, in place of its callers
   * @returns a key that the caller releases
   */
  async join(
    record: KeyRecord,
    keyContext: KeyContext,
    caller: Operation,
    operation: () => Operation,
    unwrap: (operation: Operation) => Promise<SharedDataKey>,
  ): Promise<SharedDataKey> {
    caller.throwIfAborted();
    const place = readUint32(record.keyCommit, 0);
    const flying = this.#flights.get(place);
    if (flying?.isFor(record, keyContext)) return await flying.join(caller);
    const flight = new Flight(record, keyContext, operation(), unwrap, () => {
      if (this.#flights.get(place) === flight) this.#flights.delete(place);
    });
    // Another record in this place, which takes chance or malice, gets a flight of its own.
    if (flying === undefined) this.#flights.set(place, flight);
    return await flight.join(caller);
  }
}

class Flight {
  readonly #record: KeyRecord;
  readonly #keyContext: KeyContext;
  readonly #operation: Operation;
  readonly #onEnd: () => void;
  readonly #landing: Promise<SharedDataKey>;
  #callers = 0;
  #waiting = 0;
  #hasLanded = false;

  constructor(
    record: KeyRecord,
    keyContext: KeyContext,
    operation: Operation,
    unwrap: (operation: Operation) => Promise<SharedDataKey>,
    onEnd: () => void,
  ) {
    this.#record = record;
    this.#keyContext = keyContext;
    this.#operation = operation;
    this.#onEnd = onEnd;
    this.#landing = this.#fly(unwrap);
  }

  isFor(record: KeyRecord, keyContext: KeyContext): boolean {
    return equalPublicBytes(this.#keyContext.bytes, keyContext.bytes) && isSameRecord(this.#record, record);
  }

  async join(caller: Operation): Promise<SharedDataKey> {
    this.#callers++;
    this.#waiting++;
    try {
      if (!caller.hasSignal) return await this.#landing;
      return await waitFor(this.#landing, caller.bounds(), (late) => late.release());
    } finally {
      this.#waiting--;
      if (this.#waiting === 0 && !this.#hasLanded) this.#abandon();
    }
  }

  async #fly(unwrap: (operation: Operation) => Promise<SharedDataKey>): Promise<SharedDataKey> {
    try {
      const key = await unwrap(this.#operation);
      key.hold(this.#callers - 1); // before the first caller can release
      return key;
    } finally {
      this.#hasLanded = true;
      this.#onEnd();
    }
  }

  #abandon(): void {
    this.#onEnd();
    this.#operation.abort(new EnvelockError("closed", "nobody waits for this unwrap any more"));
  }
}

function isSameRecord(a: KeyRecord, b: KeyRecord): boolean {
  return (
    a.recipients.length === b.recipients.length &&
    equalPublicBytes(a.keyCommit, b.keyCommit) &&
    a.recipients.every((recipient, at) => isSameRecipient(recipient, b.recipients[at]))
  );
}

function isSameRecipient(a: Recipient, b: Recipient | undefined): boolean {
  return b !== undefined && a.provider === b.provider && a.keyId === b.keyId && a.alg === b.alg && equalPublicBytes(a.wrapped, b.wrapped);
}
