import { invalidArgument } from "../../core/base/errors.ts";
import type { CommonFault } from "./fault-plan.ts";
import type { HeldRequest, LogEntry, LoopbackServer } from "./loopback-server.ts";

/** What every emulator is to a test: a server on loopback with a log of its requests, faults on order, and requests that can be held. */
export abstract class LoopbackEmulator<Entry extends LogEntry, OwnFault> {
  /** The requests that came, the oldest first. */
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

  /** `https://127.0.0.1:<port>` */
  get url(): string {
    return `https://${this.host}`;
  }

  /** The authority that signed the server's certificate, in PEM. */
  get ca(): string {
    return this.#server.ca;
  }

  /** How many connections there were so far. */
  get connectionCount(): number {
    return this.#server.connectionCount;
  }

  /**
   * The next `times` requests whose `METHOD /path` fits meet this. Faults on the same requests are met in turn.
   *
   * @throws `invalid-argument` for a name that is no fault's
   */
  failNext(fault: CommonFault | OwnFault, on: RegExp = /^/, times = 1): void {
    if (typeof fault === "string" && !this.#isFaultName(fault)) throw invalidArgument(`no fault is called ${fault}`);
    this.#server.faults.add(fault, on, times);
  }

  /** Forgets the faults that have not been met. */
  clearFaults(): void {
    this.#server.faults.clear();
  }

  /** Holds the next request until it is released. */
  holdNext(): HeldRequest {
    return this.#server.holdNext();
  }

  /** Forgets the log, and hands it out. */
  takeRequests(): readonly Entry[] {
    return this.requests.splice(0);
  }

  /** Hangs up on every caller. */
  async close(): Promise<void> {
    await this.#server.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
