import { realpath } from "node:fs/promises";
import { systemClock } from "../../../src/core/base/clock.ts";
import { EnvelockError, invalidArgument } from "../../../src/core/base/errors.ts";
import { singleFlight } from "../../../src/core/base/single-flight.ts";
import { sleep } from "../../../src/core/base/wait.ts";
import { type Cryptoki, loadCryptoki } from "./cryptoki.ts";
import { startFailure } from "./failures.ts";
import { LibraryPeers } from "./peers.ts";

/** A user of a library in this thread, with sessions. */
export interface ModuleUser {
  /** Closes what it can do without. @param all also the session that keeps the login, if no call is in flight @returns whether it closed any */
  makeRoom(all: boolean): boolean;
}

/** The thread in which a library works on behalf of this one. */
export interface ServingThread {
  /** Whether it has users. */
  readonly isInUse: boolean;
}

/**
 * A library as this thread uses it. PKCS#11 has one state for each library and process: a second C_Initialize fails, and C_Finalize
 * ends all sessions of the process. So all users of a library in this thread share one of these, and those of all threads agree.
 *
 * The library is not finalised when its last user closes: some libraries do damage when they are finalised a second time. It is
 * finalised only to be initialised anew at once, where a token is missing or lost: many libraries look for their tokens at no other time.
 */
export class Module {
  readonly cryptoki: Cryptoki;
  readonly peers: LibraryPeers;
  /** Without links in it. */
  readonly path: string;
  readonly #users: Set<ModuleUser> = new Set();
  #libraryParameters: string | undefined;
  #servingThread: ServingThread | undefined;
  #isInitialised = false;
  #initialisations = 0;
  /** Settles when calls may begin again. */
  #held: Promise<unknown> | undefined;

  constructor(path: string, cryptoki: Cryptoki) {
    this.path = path;
    this.cryptoki = cryptoki;
    this.peers = new LibraryPeers(path);
  }

  /** Counts how often the library was initialised. Handles of another count are void, or name other things. */
  get generation(): number {
    return this.#initialisations + this.peers.voided;
  }

  /** @throws `invalid-argument` for other parameters than those that the library runs with, and what C_Initialize says */
  attach(user: ModuleUser, libraryParameters: string | undefined): void {
    if (this.#servingThread?.isInUse === true) throw inOneThread(this.path);
    if (!this.#isInitialised && this.#users.size === 0) this.#libraryParameters = libraryParameters;
    if (libraryParameters !== this.#libraryParameters) {
      throw invalidArgument(`${this.path} runs with other libraryParameters`, "a library is initialised once for the whole process");
    }
    if (!this.#isInitialised) this.#initialise();
    this.#users.add(user);
  }

  detach(user: ModuleUser): void {
    this.#users.delete(user);
  }

  /** @throws `invalid-argument` if the library works in this thread */
  requireNotHere(): void {
    if (this.#users.size > 0) throw inOneThread(this.path);
  }

  /** Lets the library work in another thread for all users here, as long as that has users. */
  serveFrom(thread: ServingThread): void {
    this.#servingThread = thread;
  }

  /** Begins a call, which `leave` ends. @returns false, and begins none, if the library was initialised anew since `generation` */
  async enter(generation: number): Promise<boolean> {
    while (this.#held !== undefined || !this.peers.enter()) await (this.#held ?? sleep(systemClock, POLL_MS));
    if (generation === this.generation) return true;
    this.peers.leave();
    return false;
  }

  leave(): void {
    this.peers.leave();
  }

  /** Asks the other users in this thread to close sessions that they can do without. @returns whether one did */
  makeRoom(forUser: ModuleUser): boolean {
    const others = [...this.#users].filter((user) => user !== forUser);
    return others.filter((user) => user.makeRoom(false)).length > 0 || others.some((user) => user.makeRoom(true));
  }

  /** Initialises the library after another user of the process has finalised it, and with it all sessions. */
  initialiseAgain(): void {
    this.peers.voidAll();
    this.#initialise();
  }

  /**
   * Finalises the library and initialises it anew, as soon as no call is in flight.
   *
   * @returns false, and leaves it as it is, if calls do not end in time, if another user of the process may have sessions, or if this
   *   library does not bear it
   * @throws what C_Initialize says
   */
  readonly restart: () => Promise<boolean> = singleFlight(() => this.#restart());

  async #restart(): Promise<boolean> {
    const startMs = systemClock.monotonicMs();
    this.peers.callTheRoll(startMs);
    const held = this.#hold();
    try {
      await sleep(systemClock, ROLL_CALL_MS);
      if (!this.#mayRestart()) return false;
      while (!this.peers.alone(() => this.#finaliseAndInitialise())) {
        if (systemClock.monotonicMs() - startMs > MOST_WAIT_MS) return false;
        await sleep(systemClock, POLL_MS);
      }
      return true;
    } finally {
      held();
    }
  }

  #hold(): () => void {
    let release = (): void => undefined;
    this.#held = new Promise<void>((resolve) => {
      release = resolve;
    });
    return () => {
      this.#held = undefined;
      release();
    };
  }

  #mayRestart(): boolean {
    if (this.peers.finalisations > 0 && breaksWhenFinalisedTwice(this.cryptoki)) return false;
    const sessions = this.#sessionsOfProcess();
    if (sessions !== undefined) return sessions <= this.peers.sessions;
    return this.peers.areInitialisers;
  }

  /** Counts the sessions of the process; undefined if the library does not tell. Without a token there is no session. */
  #sessionsOfProcess(): number | undefined {
    try {
      let sum = 0;
      for (const slot of this.cryptoki.slots()) {
        const { sessions } = this.cryptoki.tokenInfo(slot);
        if (sessions === undefined) return undefined;
        sum += sessions;
      }
      return sum;
    } catch {
      return undefined;
    }
  }

  #finaliseAndInitialise(): void {
    this.#isInitialised = false;
    try {
      this.cryptoki.finalise();
    } catch {
      // what a library says to this when its device is gone changes nothing
    }
    this.#initialise();
  }

  #initialise(): void {
    this.#initialisations++;
    try {
      this.peers.setInitialiser(this.cryptoki.initialise(this.#libraryParameters));
    } catch (error) {
      throw startFailure(this.path, error);
    }
    this.#isInitialised = true;
  }
}

/** openCryptoki closes a file descriptor at each C_Finalize that is its own the first time alone. Read in 3.8.1 by running it. */
function breaksWhenFinalisedTwice(cryptoki: Cryptoki): boolean {
  try {
    return /meta pkcs11|opencryptoki/i.test(cryptoki.libraryDescription());
  } catch {
    return false;
  }
}

function inOneThread(path: string): EnvelockError {
  return invalidArgument(
    `${path} is in use with another value of thread`,
    "all users of a library give the same, since its sessions belong to one thread",
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

/** Global state, because PKCS#11 itself has it: one for each library and thread. docs/design.md */
const MODULES: Map<string, Promise<Module>> = new Map();
const ROLL_CALL_MS = 20;
const MOST_WAIT_MS = 2_000;
const POLL_MS = 5;
