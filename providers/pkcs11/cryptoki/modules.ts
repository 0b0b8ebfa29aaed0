import { realpath } from "node:fs/promises";
import { EnvelockError, invalidArgument } from "../../../src/core/base/errors.ts";
import type { LibraryThread } from "../thread/library-thread.ts";
import { CKR_CRYPTOKI_NOT_INITIALIZED } from "./constants.ts";
import { type Cryptoki, loadCryptoki } from "./cryptoki.ts";
import { returns } from "./failures.ts";

/** Somebody with sessions in a module. */
export interface ModuleUser {
  /** Whether its sessions still answer. Makes a call. */
  isAlive(): boolean;
}

/**
 * A library as this thread uses it. PKCS#11 has one state for each library and process: a second C_Initialize fails, and C_Finalize
 * ends everybody's sessions. So all who use a library here share one of these.
 */
export class Module {
  readonly cryptoki: Cryptoki;
  readonly #path: string;
  readonly #users: Set<ModuleUser> = new Set();
  #libraryParameters: string | undefined;
  #thread: LibraryThread | undefined;
  #isInitialised = false;
  /** Whether it was this object that initialised it. */
  #isOurs = false;
  #callsUnderWay = 0;
  /** Counts the times that it was initialised: handles of another count mean nothing, or something else. */
  generation = 0;

  constructor(path: string, cryptoki: Cryptoki) {
    this.#path = path;
    this.cryptoki = cryptoki;
  }

  /** @throws `invalid-argument` for other parameters than those that the library runs with, and what C_Initialize says */
  attach(user: ModuleUser, libraryParameters: string | undefined): void {
    if (this.#thread?.isInUse === true) throw inOneThread(this.#path);
    if (!this.#isInitialised && this.#users.size === 0) this.#libraryParameters = libraryParameters;
    if (libraryParameters !== this.#libraryParameters) {
      throw invalidArgument(`${this.#path} runs with other libraryParameters`, "a library is initialised once for the whole process");
    }
    if (!this.#isInitialised) this.#initialise();
    this.#users.add(user);
  }

  /**
   * The thread in which this library works for everybody here, started if there is none.
   *
   * @throws `invalid-argument` if it works in this thread
   */
  inThread(start: () => LibraryThread): LibraryThread {
    if (this.#users.size > 0) throw inOneThread(this.#path);
    if (this.#thread === undefined || this.#thread.hasEnded) this.#thread = start();
    return this.#thread;
  }

  /** The last one finalises the library, unless somebody else initialised it or has sessions in it. */
  detach(user: ModuleUser): void {
    if (!this.#users.delete(user) || this.#users.size > 0) return;
    if (this.#isOurs && !this.#hasSessions()) this.#finalise();
  }

  /**
   * Finalises and initialises again, after which the library looks for its device anew: some find it again in no other way.
   *
   * @param failure what `lost` was told
   * @returns false where that would end calls or sessions that work, or sessions of somebody else
   */
  restart(lost: ModuleUser, failure: unknown): boolean {
    if (!returns(failure, CKR_CRYPTOKI_NOT_INITIALIZED)) {
      if (!this.#isOurs || this.#callsUnderWay > 0) return false;
      for (const user of this.#users) if (user !== lost && user.isAlive()) return false;
      this.#finalise();
    } // else somebody has finalised it, and with it all sessions
    this.#initialise();
    return true;
  }

  /** Holds off a restart while `work` is in the library. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#callsUnderWay++;
    try {
      return await work();
    } finally {
      this.#callsUnderWay--;
    }
  }

  #initialise(): void {
    this.generation++;
    this.#isOurs = this.cryptoki.initialise(this.#libraryParameters);
    this.#isInitialised = true;
  }

  #finalise(): void {
    this.generation++;
    this.#isOurs = false;
    this.#isInitialised = false;
    try {
      this.cryptoki.finalise();
    } catch {
      // what a library says to this when its device is gone changes nothing
    }
  }

  /** Ours are closed by now. */
  #hasSessions(): boolean {
    try {
      return this.cryptoki.slots().some((slot) => (this.cryptoki.tokenInfo(slot).sessions ?? 1) > 0);
    } catch {
      return true;
    }
  }
}

function inOneThread(path: string): EnvelockError {
  return invalidArgument(
    `${path} is in use with another value of thread`,
    "all that use a library give the same, since its sessions are of one thread",
  );
}

/**
 * The module of a path, loaded at first use and never unloaded.
 *
 * @throws `provider-failure` if it cannot be loaded
 */
export async function openModule(path: string): Promise<Module> {
  const file = await realpath(path).catch((cause: unknown) => {
    throw new EnvelockError("provider-failure", `there is no PKCS#11 library ${path}`, {
      cause,
      detail: "module-missing",
      hint: "install the library, or correct the path",
    });
  });
  const known = MODULES.get(file);
  if (known !== undefined) return await known;
  const loading = loadCryptoki(file).then((cryptoki) => new Module(file, cryptoki));
  MODULES.set(file, loading);
  loading.catch(() => MODULES.delete(file));
  return await loading;
}

/** The one piece of global state of the package, as PKCS#11 itself forces it. docs/design.md */
const MODULES: Map<string, Promise<Module>> = new Map();
