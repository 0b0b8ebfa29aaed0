import { type Clock, systemClock } from "../../core/base/clock.ts";
import { EnvelockError } from "../../core/base/errors.ts";
import type { HttpFetch } from "../../core/base/http-fetch.ts";
import { httpsFetch } from "../../core/base/https-fetch.ts";
import { type OptionNames, refuseUnknown } from "../../core/base/options.ts";
import { GcpAnswer } from "../emulator/google-answer.ts";
import { GoogleEmulator } from "../emulator/google-emulator.ts";
import { IdentityServices } from "../emulator/google-identity.ts";
import { Principals } from "../emulator/google-principals.ts";
import { LoopbackServer } from "../emulator/loopback-server.ts";
import type { VersionState } from "./enums.ts";
import { isFaultName, type OwnFault } from "./faults.ts";
import { KeyRings } from "./key-rings.ts";
import type { KeyTraits } from "./kms-key.ts";
import { KmsService, type KmsState, type LoggedRequest } from "./kms-service.ts";

export interface GcpKmsEmulatorOptions {
  /** A port on 127.0.0.1. Default: a free one. */
  readonly port?: number;
  /** The source of time. Default: the machine's clock. */
  readonly clock?: Clock;
  /** The key ring for keys given by a short name. The emulator creates it. Default `projects/acme/locations/europe-west3/keyRings/main`. */
  readonly keyRing?: string;
  /** Called after each request with its log entry. */
  readonly onRequest?: (request: LoggedRequest) => void;
}

/** The options with which `gcpKmsKey` reaches an emulator. */
export interface GcpKmsEmulatorConnection {
  readonly endpoint: string;
  readonly token: () => Promise<{ readonly token: string }>;
  readonly fetch: HttpFetch;
}

/**
 * Google Cloud KMS on a loopback port, over REST: symmetric and RSA decryption keys with real cryptography, versions with states,
 * checksums, permissions, the services that give tokens, and faults on order.
 *
 * For tests alone: it keeps keys in memory, and its log has the data keys that it was sent.
 *
 * @example
 * ```ts
 * import { gcpKmsKey } from "envelock/providers/gcp-kms";
 * import { GcpKmsEmulator } from "envelock/testing/gcp-kms-emulator";
 *
 * const emulator = await GcpKmsEmulator.start();
 * const key = gcpKmsKey({ ...emulator.connection, key: emulator.createKey("orders") });
 * await emulator.close();
 * ```
 */
export class GcpKmsEmulator extends GoogleEmulator<LoggedRequest, OwnFault> {
  /** A `fetch` that trusts the server's certificate and sends requests for Google's hosts, metadata server included, to the emulator. */
  readonly fetch: HttpFetch;
  readonly #state: KmsState;
  readonly #server: LoopbackServer<LoggedRequest, OwnFault>;
  readonly #keyRing: string;

  private constructor(given: GcpKmsEmulatorOptions) {
    refuseUnknown(given, EMULATOR_OPTIONS, "GcpKmsEmulator.start");
    const { clock = systemClock, keyRing = DEFAULT_KEY_RING, onRequest } = given;
    const principals = new Principals(clock, ["cloudkms"]);
    const identity = new IdentityServices(clock, principals);
    const state: KmsState = { clock, rings: new KeyRings(clock), principals, identity, quota: undefined };
    const server = new LoopbackServer<LoggedRequest, OwnFault>(new KmsService(state), { clock, onRequest });
    super(server, isFaultName, { principals, identity });
    this.#state = state;
    this.#server = server;
    this.#keyRing = keyRing;
    state.rings.addRing(keyRing);
    const trusting = httpsFetch({ ca: server.ca });
    this.fetch = (url, request) => trusting(url.replace(GOOGLE_HOST, this.url), request);
  }

  /** Starts one; ends with `await using`, or with `close`. @throws `unavailable` if the port is taken */
  static async start(options: GcpKmsEmulatorOptions = {}): Promise<GcpKmsEmulator> {
    const emulator = new GcpKmsEmulator(options);
    await emulator.#server.listen(options.port ?? 0);
    return emulator;
  }

  /** The options that `gcpKmsKey` needs beside the key. */
  get connection(): GcpKmsEmulatorConnection {
    return { endpoint: this.url, token: async () => ({ token: this.token }), fetch: this.fetch };
  }

  /** Cryptographic requests answered per second; undefined for no limit. */
  get quota(): number | undefined {
    return this.#state.quota;
  }

  set quota(perSecond: number | undefined) {
    this.#state.quota = perSecond;
  }

  /**
   * Makes a key with its first version, and its key ring if that is missing. An existing key stays as it is.
   *
   * @param key its whole name, or its short name in the emulator's key ring
   * @returns its whole name
   */
  createKey(key: string, traits: KeyTraits = {}): string {
    const name = this.#nameOf(key);
    const [ring = ""] = name.split("/cryptoKeys/");
    const { rings } = this.#state;
    if (!rings.hasRing(ring)) rings.addRing(ring);
    if (!rings.hasKey(name)) rings.addKey(name, traits);
    return name;
  }

  /** Adds a version and, for a symmetric key, makes it the primary one. @returns its number @throws `key-not-found` */
  rotate(key: string): number {
    return this.#found(() => {
      const found = this.#state.rings.key(this.#nameOf(key));
      found.primary = found.addVersion(this.#state.clock.unixMs()).number;
      return found.primary;
    });
  }

  /** Makes a version the primary one. @throws `key-not-found` */
  setPrimary(key: string, version: number): void {
    this.#found(() => {
      const found = this.#state.rings.key(this.#nameOf(key));
      found.primary = found.version(version).number;
    });
  }

  /** Puts a version into a state. @throws `key-not-found` */
  setState(key: string, version: number, state: VersionState): void {
    this.#found(() => {
      this.#state.rings.key(this.#nameOf(key)).version(version).state = state;
    });
  }

  /** Removes every service account: the emulator refuses exchanges and impersonations from now on. */
  removeServiceAccounts(): void {
    this.#state.principals.forgetAccounts();
  }

  #nameOf(key: string): string {
    return key.includes("/") ? key : `${this.#keyRing}/cryptoKeys/${key}`;
  }

  #found<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof GcpAnswer)) throw error;
      throw new EnvelockError("key-not-found", `gcp-kms emulator: ${error.message}`, { cause: error });
    }
  }
}

const EMULATOR_OPTIONS: OptionNames<GcpKmsEmulatorOptions> = { port: true, clock: true, keyRing: true, onRequest: true };
const DEFAULT_KEY_RING = "projects/acme/locations/europe-west3/keyRings/main";
const GOOGLE_HOST = /^https?:\/\/(?:[\w.-]+\.googleapis\.com|metadata\.google\.internal|169\.254\.169\.254)(?=\/)/;
