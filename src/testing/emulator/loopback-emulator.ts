import { invalidArgument } from "../../core/base/errors.ts";
import type { CommonFault } from "./fault-plan.ts";
import type { HeldRequest, LogEntry, LoopbackServer } from "./loopback-server.ts";

/** The part common to all emulators: a loopback server with a log of its requests, injected faults, and requests that a test can hold. */
export abstract class LoopbackEmulator<Entry extends LogEntry, OwnFault> {
  /** All requests received, the oldest first. */
  readonly requests: Entry[];
  readonly #server: LoopbackServer<Entry, OwnFault>;
  readonly #isFaultName: (name: string) => boolean;

  /** @param isFaultName whether a text is the name of a fault that this emulator knows */
  protected constructor(server: LoopbackServer<Entry, OwnFault>, isFaultName: (name: string) => boolean) {
    this.requests = server.requests;
    this.#server = server;
    this.#isFaultName = isFaultName;
  }

  /** `127.0.0.1:<port>` */
  get host(): string {
    return this.#server.host;
  }

  /** `https://127.0.0.1:<port>`, or `http://` for an emulator that was started so. */
  get url(): string {
    return `${this.#server.isPlain ? "http" : "https"}://${this.host}`;
  }

  /** The authority that signed the server's certificate, in PEM. */
  get ca(): string {
    return this.#server.ca;
  }

  /** The number of connections so far. */
  get connectionCount(): number {
    return this.#server.connectionCount;
  }

  /**
   * Applies a fault to the next `times` requests whose `METHOD /path` matches. Faults on the same requests apply in turn.
   *
   * @throws `invalid-argument` for an unknown name of a fault
   */
  failNext(fault: CommonFault | OwnFault, on: RegExp = /^/, times = 1): void {
    this.#plan(fault, on, times);
  }

  /**
   * Applies a fault to every request whose `METHOD /path` matches, until the returned function is called.
   *
   * @throws `invalid-argument` for an unknown name of a fault
   */
  failWhile(fault: CommonFault | OwnFault, on: RegExp = /^/): () => void {
    return this.#plan(fault, on, Number.POSITIVE_INFINITY);
  }

  /** Drops the faults that no request has met. */
  clearFaults(): void {
    this.#server.faults.clear();
  }

  /** Holds the next request until it is released. */
  holdNext(): HeldRequest {
    return this.#server.holdNext();
  }

  /** Empties the log and returns its entries. */
  takeRequests(): readonly Entry[] {
    return this.requests.splice(0);
  }

  /** Closes every connection. */
  async close(): Promise<void> {
    await this.#server.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #plan(fault: CommonFault | OwnFault, on: RegExp, times: number): () => void {
    if (typeof fault === "string" && !this.#isFaultName(fault)) throw invalidArgument(`no fault is called ${fault}`);
    return this.#server.faults.add(fault, on, times);
  }
}
