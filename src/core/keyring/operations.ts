import { callSignal, DATA_KEY_OPTIONS, type DataKeyOptions } from "../base/call-options.ts";
import type { Context, KeyContext } from "../base/context.ts";
import { EnvelockError, invalidArgument, unreadable } from "../base/errors.ts";
import type { DataKeySource } from "../key-source/data-key-source.ts";
import type { Operation } from "../resilience/operation.ts";
import type { OperationName } from "../telemetry/events.ts";
import type { Observer } from "../telemetry/observer.ts";
import type { Call } from "./calls.ts";
import { inputBytes } from "./envelope-bytes.ts";
import { admission } from "./gate.ts";
import type { KeyringLife } from "./keyring-life.ts";

/** Runs the calls of a keyring: reads their options at once, asks the gate, reports to the observer, and refuses calls after `close`. */
export class Operations {
  readonly source: DataKeySource;
  readonly context: KeyContext;
  readonly #observer: Observer | undefined;
  readonly #life: KeyringLife;

  constructor(source: DataKeySource, context: KeyContext, observer: Observer | undefined, life: KeyringLife) {
    this.source = source;
    this.context = context;
    this.#observer = observer;
    this.#life = life;
  }

  /**
   * Runs a call that the gate admits.
   *
   * @param read reads and encodes the options at once, so that later changes have no effect. If it throws, the call rejects
   */
  run<G extends Call, T>(
    name: OperationName,
    read: () => G,
    work: (operation: Operation, given: G) => Promise<T>,
    { map }: KeyContext = this.context,
  ): Promise<T> {
    const observer = this.#observer;
    try {
      const given = readOf(read, name);
      const operation = this.source.operation(given.signal);
      const admitted = (): Promise<T> => this.#admitted(name, map, operation, () => work(operation, given));
      return observer === undefined ? admitted() : observer.operation(name, operation, map, admitted);
    } catch (error) {
      const refused = (): Promise<T> => Promise.reject(error);
      return observer === undefined ? refused() : observer.operation(name, this.source.operation(undefined), map, refused);
    }
  }

  /** Runs work after the gate has admitted it: at once if the gate decides at once. */
  #admitted<T>(name: OperationName, keyContext: Context, operation: Operation, work: () => Promise<T>): Promise<T> {
    const { gate } = this.#life;
    if (gate === undefined) return work();
    const pending = admission(gate, { operation: name, keyContext, isSync: false }, operation);
    return pending === undefined ? work() : pending.then(work);
  }

  /** Runs a call for one data key. Its key context may be narrower than that of the keyring. */
  async runWithin<T>(
    name: OperationName,
    what: string,
    options: DataKeyOptions,
    work: (operation: Operation, source: DataKeySource) => Promise<T>,
  ): Promise<T> {
    const signal = callSignal(options, DATA_KEY_OPTIONS, what);
    const context = this.context.with(options.keyContext);
    const source = this.source.within(context);
    return await this.run(
      name,
      () => ({ signal }),
      (operation) => work(operation, source),
      context,
    );
  }

  requireOpen(): void {
    if (this.#life.isClosed) throw new EnvelockError("closed", "this keyring has been closed");
  }

  requireWrapWith(): void {
    this.requireOpen();
    if (this.source.wrapWith.length === 0) throw invalidArgument("this keyring only decrypts: it has no wrapWith");
  }

  /** Takes the bytes of an argument as a plain Uint8Array, while the keyring is open. @throws `closed`, `invalid-argument` */
  input(bytes: Uint8Array, what: string): Uint8Array {
    this.requireOpen();
    return inputBytes(bytes, what);
  }
}

/** Reads what the caller gave. Any other error than our own comes out of the caller's objects. */
function readOf<G>(read: () => G, name: OperationName): G {
  try {
    return read();
  } catch (error) {
    throw unreadable(`an argument of ${name}`, error);
  }
}
