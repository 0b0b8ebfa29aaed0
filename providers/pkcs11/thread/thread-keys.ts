import { copyOf, isBytes, type OwnedBytes, wipe } from "../../../src/core/base/bytes.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import { type Module, openModule } from "../cryptoki/modules.ts";
import type { Pkcs11Pin } from "../options.ts";
import type { TokenKeys, TokenKeysOptions, WrapTarget } from "../token-keys.ts";
import type { LibraryThread } from "./library-thread.ts";
import type { CallResult, KeysCall } from "./messages.ts";

/** Passes the calls of `TokenKeys` to a library that works in a thread of its own. */
export class ThreadKeys implements TokenKeys {
  readonly #options: TokenKeysOptions;
  readonly #pin: Pkcs11Pin | undefined;
  #place: Promise<Place> | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: TokenKeysOptions, pin: Pkcs11Pin | undefined) {
    this.#options = options;
    this.#pin = pin;
  }

  async current(nowMs: number): Promise<WrapTarget> {
    const target = await this.#call({ method: "current", nowMs });
    if (target !== undefined && !isBytes(target)) return target;
    throw brokenAnswer();
  }

  async wrap(target: WrapTarget, dek: Uint8Array, aad: Uint8Array): Promise<OwnedBytes> {
    const own = copyOf(dek); // what is sent is copied once more, and this one is wiped
    try {
      return ownBytes(await this.#call({ method: "wrap", target, dek: own, aad }));
    } finally {
      wipe(own);
    }
  }

  async unwrap(keyId: string, alg: number, wrapped: Uint8Array, aad: Uint8Array): Promise<OwnedBytes> {
    return ownBytes(await this.#call({ method: "unwrap", keyId, alg, wrapped, aad }));
  }

  async random(count: number): Promise<OwnedBytes> {
    return ownBytes(await this.#call({ method: "random", count }));
  }

  async close(): Promise<void> {
    this.#closing ??= this.#leave();
    await this.#closing;
  }

  async #call(what: KeysCall): Promise<CallResult> {
    if (this.#closing !== undefined) throw new EnvelockError("closed", "this PKCS#11 token has been closed");
    const { thread, user } = await this.#placed();
    return await thread.call(user, what);
  }

  async #leave(): Promise<void> {
    const place = await this.#place?.catch(() => undefined);
    await place?.thread.close(place.user);
  }

  /** Where the calls go: a new place if there is none, its making failed, or its thread has ended. */
  async #placed(): Promise<Place> {
    const known = this.#place;
    const place = await known?.catch(() => undefined);
    if (place !== undefined && !place.thread.hasEnded) return place;
    if (this.#place === known || this.#place === undefined) this.#place = this.#settle(); // else another call has begun it
    return await this.#place;
  }

  async #settle(): Promise<Place> {
    const module = await openModule(this.#options.location.module); // loaded here too, so that the thread's end does not unload it
    const thread = await threadOf(module);
    return { thread, user: thread.open(this.#options, this.#pin) };
  }
}

interface Place {
  readonly thread: LibraryThread;
  readonly user: number;
}

/** The library's thread, started if there is none. @throws `invalid-argument` if the library works in this thread */
async function threadOf(module: Module): Promise<LibraryThread> {
  const { LibraryThread } = await import("./library-thread.ts");
  module.requireNotHere();
  const known = THREADS.get(module);
  if (known !== undefined && !known.hasEnded) return known;
  const thread = new LibraryThread();
  module.serveFrom(thread);
  THREADS.set(module, thread);
  return thread;
}

function ownBytes(result: CallResult): OwnedBytes {
  if (!isBytes(result)) throw brokenAnswer();
  const bytes = copyOf(result);
  wipe(result);
  return bytes;
}

function brokenAnswer(): EnvelockError {
  return new EnvelockError("provider-failure", "the thread of the PKCS#11 library answered with something else", { detail: "thread" });
}

/** The running thread of each library, or one that has ended. */
const THREADS: WeakMap<Module, LibraryThread> = new WeakMap();
