import { type Clock, systemClock } from "../../core/base/clock.ts";
import { EnvelockError } from "../../core/base/errors.ts";
import type { HttpFetch } from "../../core/base/http-fetch.ts";
import { httpsFetch } from "../../core/base/https-fetch.ts";
import { type OptionNames, refuseUnknown } from "../../core/base/options.ts";
import { LoopbackEmulator } from "../emulator/loopback-emulator.ts";
import { LoopbackServer } from "../emulator/loopback-server.ts";
import { VaultAnswer } from "./answer.ts";
import { isFaultName, type OwnFault } from "./faults.ts";
import { type AppRoleLogin, LoginMethods } from "./logins.ts";
import { TokenStore, type TokenTraits } from "./tokens.ts";
import { TransitEngine } from "./transit-engine.ts";
import type { TransitKey, TransitKeyTraits, TransitKeyType } from "./transit-key.ts";
import { type LoggedRequest, VaultService, type VaultState } from "./vault-service.ts";

export interface VaultEmulatorOptions {
  /** A port on 127.0.0.1. Default: a free one. */
  readonly port?: number;
  /** The source of time. Default: the machine's clock. */
  readonly clock?: Clock;
  /** The mounts of the transit engine, namespaces included, such as `team-a/transit`. Default `["transit"]`. */
  readonly mounts?: readonly string[];
  /** Whether `associated_data` is known: false for a server before 1.12, which ignores it. Default true. */
  readonly knowsAssociatedData?: boolean;
  /** Called after each request with its log entry. */
  readonly onRequest?: (request: LoggedRequest) => void;
}

/** The options with which `vaultTransitKey` reaches an emulator. */
export interface VaultEmulatorConnection {
  readonly address: string;
  readonly token: string;
  readonly fetch: HttpFetch;
}

/**
 * A Vault or OpenBao server on a loopback port: the transit engine with real cryptography, tokens with policies and ends, AppRole,
 * Kubernetes and JWT logins, namespaces, and faults on order. It answers with the texts and statuses of OpenBao's source.
 *
 * For tests alone: it keeps keys in memory, and its log has the data keys that it was sent.
 *
 * @example
 * ```ts
 * import { vaultTransitKey } from "envelock/providers/vault";
 * import { VaultEmulator } from "envelock/testing/vault-emulator";
 *
 * const emulator = await VaultEmulator.start();
 * emulator.createKey("orders");
 * const key = vaultTransitKey({ ...emulator.connection, key: "orders" });
 * await emulator.close();
 * ```
 */
export class VaultEmulator extends LoopbackEmulator<LoggedRequest, OwnFault> {
  /** A token with all rights in the root namespace. */
  readonly token: string;
  /** A `fetch` that trusts the server's certificate. */
  readonly fetch: HttpFetch;
  readonly #state: VaultState;
  readonly #server: LoopbackServer<LoggedRequest, OwnFault>;

  private constructor(given: VaultEmulatorOptions) {
    refuseUnknown(given, EMULATOR_OPTIONS, "VaultEmulator.start");
    const { clock = systemClock, mounts = ["transit"], knowsAssociatedData = true, onRequest } = given;
    const tokens = new TokenStore(clock);
    const logins = new LoginMethods(clock, tokens);
    const engines = new Map(mounts.map((mount) => [mount, new TransitEngine(clock, { knowsAssociatedData })]));
    const state: VaultState = { clock, tokens, logins, isSealed: false, mounts: engines };
    const server = new LoopbackServer<LoggedRequest, OwnFault>(new VaultService(state), { clock, onRequest });
    super(server, isFaultName);
    this.#state = state;
    this.#server = server;
    this.token = tokens.issue({}).id;
    this.fetch = httpsFetch({ ca: server.ca });
  }

  /** Starts one; ends with `await using`, or with `close`. @throws `unavailable` if the port is taken */
  static async start(options: VaultEmulatorOptions = {}): Promise<VaultEmulator> {
    const emulator = new VaultEmulator(options);
    await emulator.#server.listen(options.port ?? 0);
    return emulator;
  }

  /** The options that `vaultTransitKey` needs beside the key. */
  get connection(): VaultEmulatorConnection {
    return { address: this.url, token: this.token, fetch: this.fetch };
  }

  /**
   * Makes a key. An existing key stays as it is.
   *
   * @param mount namespaces included. Default: the first mount
   * @throws `key-not-found` if there is no such mount
   */
  createKey(name: string, type: TransitKeyType = "aes256-gcm96", traits: TransitKeyTraits = {}, mount?: string): void {
    this.#engine(mount).create(name, type, traits);
  }

  /** @returns the new version @throws `key-not-found` */
  rotate(name: string, mount?: string): number {
    return this.#key(name, mount).rotate(this.#state.clock.unixMs());
  }

  /** Sets the oldest version that decrypts. @throws `key-not-found` */
  setMinDecryptionVersion(name: string, version: number, mount?: string): void {
    this.#key(name, mount).minDecryptionVersion = version;
  }

  /** Marks a key as soft-deleted, as OpenBao can. @throws `key-not-found` */
  softDelete(name: string, isDeleted = true, mount?: string): void {
    this.#key(name, mount).isSoftDeleted = isDeleted;
  }

  /** Removes a key. @throws `key-not-found` */
  deleteKey(name: string, mount?: string): void {
    const engine = this.#engine(mount);
    this.#key(name, mount).isDeletionAllowed = true;
    engine.delete(name);
  }

  /** @returns the id of a new token */
  issueToken(traits: TokenTraits = {}): string {
    return this.#state.tokens.issue(traits).id;
  }

  /** Invalidates every token issued so far, the emulator's own included. */
  revokeTokens(): void {
    this.#state.tokens.revokeAll();
  }

  /** Allows an AppRole login. */
  addAppRole(traits: TokenTraits = {}, mount = "approle"): AppRoleLogin {
    return this.#state.logins.addAppRole(traits, mount);
  }

  /** Allows the holder of `jwt` to log in as `role`: a Kubernetes or JWT login, by its mount. */
  addJwtRole(role: string, jwt: string, traits: TokenTraits = {}, mount = "kubernetes"): void {
    this.#state.logins.addJwtRole(role, jwt, traits, mount);
  }

  /** Refuses every login from now on. */
  refuseLogins(): void {
    this.#state.logins.clear();
  }

  seal(isSealed = true): void {
    this.#state.isSealed = isSealed;
  }

  #engine(mount: string | undefined): TransitEngine {
    const [first] = this.#state.mounts.values();
    const engine = mount === undefined ? first : this.#state.mounts.get(mount);
    if (engine !== undefined) return engine;
    throw new EnvelockError("key-not-found", `vault emulator: no transit engine is mounted at ${mount ?? "any path"}`);
  }

  #key(name: string, mount: string | undefined): TransitKey {
    try {
      return this.#engine(mount).key(name);
    } catch (error) {
      if (!(error instanceof VaultAnswer)) throw error;
      throw new EnvelockError("key-not-found", `vault emulator: ${error.message}`, { cause: error });
    }
  }
}

const EMULATOR_OPTIONS: OptionNames<VaultEmulatorOptions> = {
  port: true,
  clock: true,
  mounts: true,
  knowsAssociatedData: true,
  onRequest: true,
};
