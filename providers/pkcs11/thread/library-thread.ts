import { Worker } from "node:worker_threads";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import { workerFile } from "../../../src/core/base/worker-file.ts";
import { pinFailure } from "../cryptoki/failures.ts";
import type { Pkcs11Pin } from "../options.ts";
import type { TokenKeysOptions } from "../token-keys.ts";
import type { CallResult, KeysCall, ThreadAnswer, ThreadOrder } from "./messages.ts";
import { receivedError, sentError } from "./sent-errors.ts";

/** One library's thread, shared by all its users, as the library is. It keeps the process alive only while a call is in flight. */
export class LibraryThread {
  readonly #worker: Worker;
  readonly #pins: Map<number, Pkcs11Pin | undefined> = new Map();
  readonly #owed: Map<number, { resolve(result: CallResult): void; reject(error: EnvelockError): void }> = new Map();
  #lastUser = 0;
  #lastCall = 0;
  #hasEnded = false;

  constructor() {
    this.#worker = new Worker(workerFile(WORKER_FILE, import.meta.url, "PKCS#11"), {
      name: "envelock pkcs11",
      env: {},
      execArgv: [],
      stdin: false,
    });
    this.#worker.unref();
    this.#worker.on("message", (answer: ThreadAnswer) => this.#hear(answer));
    this.#worker.on("error", () => this.#lost());
    this.#worker.on("exit", () => this.#lost());
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  get isInUse(): boolean {
    return this.#pins.size > 0 && !this.#hasEnded;
  }

  open(options: TokenKeysOptions, pin: Pkcs11Pin | undefined): number {
    const user = ++this.#lastUser;
    this.#pins.set(user, pin);
    this.#order({ kind: "open", user, options, hasPin: pin !== undefined });
    return user;
  }

  call(user: number, what: KeysCall): Promise<CallResult> {
    if (this.#hasEnded) return Promise.reject(died());
    return new Promise((resolve, reject) => {
      if (this.#owed.size === 0) this.#worker.ref();
      this.#owed.set(++this.#lastCall, { resolve, reject });
      this.#order({ kind: "call", user, call: this.#lastCall, what });
    });
  }

  /** Calls under way come to their end; with the last user the thread ends. */
  async close(user: number): Promise<void> {
    await this.call(user, { method: "close" }).catch(() => undefined); // a thread that died is closed
    this.#pins.delete(user);
    if (this.#pins.size > 0 || this.#hasEnded) return;
    this.#hasEnded = true;
    await this.#worker.terminate();
  }

  #order(order: ThreadOrder): void {
    this.#worker.postMessage(order);
  }

  #hear(answer: ThreadAnswer): void {
    if (answer.kind === "ask-pin") return void this.#askPin(answer.user, answer.question);
    const owed = this.#owed.get(answer.call);
    this.#owed.delete(answer.call);
    if (this.#owed.size === 0) this.#worker.unref();
    if (answer.kind === "done") owed?.resolve(answer.result);
    else owed?.reject(receivedError(answer.error));
  }

  async #askPin(user: number, question: number): Promise<void> {
    try {
      const pin: unknown = await this.#pins.get(user)?.();
      this.#order({ kind: "pin", question, pin: typeof pin === "string" ? pin : "" });
    } catch (error) {
      this.#order({ kind: "no-pin", question, error: sentError(pinFailure(error)) });
    }
  }

  #lost(): void {
    this.#hasEnded = true;
    for (const { reject } of this.#owed.values()) reject(died());
    this.#owed.clear();
  }
}

function died(): EnvelockError {
  return new EnvelockError("unavailable", "the thread of the PKCS#11 library has ended", { detail: "thread" });
}

const WORKER_FILE = "./worker.js"; // not a text within `new URL`, which bundlers take for a file to copy without what it imports
