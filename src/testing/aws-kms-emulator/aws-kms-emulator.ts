import { type Clock, systemClock } from "../../core/base/clock.ts";
import { EnvelockError } from "../../core/base/errors.ts";
import type { HttpFetch } from "../../core/base/http-fetch.ts";
import { httpsFetch } from "../../core/base/https-fetch.ts";
import { type OptionNames, refuseUnknown } from "../../core/base/options.ts";
import type { EmulatedCredentials } from "../emulator/aws-credentials.ts";
import { LoopbackEmulator } from "../emulator/loopback-emulator.ts";
import { LoopbackServer } from "../emulator/loopback-server.ts";
import { AwsAnswer } from "./answer.ts";
import { AwsService, type AwsState, type LoggedRequest } from "./aws-service.ts";
import { isFaultName, type OwnFault } from "./faults.ts";
import { CONTAINER_PATH, IdentityServices, type RoleTraits } from "./identity-services.ts";
import { KeyStore } from "./key-store.ts";
import type { KmsKey, KmsKeyState, KmsKeyTraits } from "./kms-key.ts";
import { Principals, type PrincipalTraits } from "./principals.ts";

export interface AwsKmsEmulatorOptions {
  /** A port on 127.0.0.1. Default: a free one. */
  readonly port?: number;
  /** The source of time. Default: the machine's clock. */
  readonly clock?: Clock;
  /** Calls of the key service answered per second; the emulator throttles the rest. Default: no limit. */
  readonly callsPerSecond?: number;
  /** Called after each request with its log entry. */
  readonly onRequest?: (request: LoggedRequest) => void;
}

/** The options with which `awsKmsKey` reaches an emulator. */
export interface AwsKmsEmulatorConnection {
  readonly endpoint: string;
  readonly credentials: EmulatedCredentials;
  readonly fetch: HttpFetch;
}

/**
 * AWS KMS on a loopback port: symmetric and RSA keys with real cryptography, aliases, key materials, states, policies, signatures that
 * are checked, the security token service, the metadata services of instances and containers, and faults on order. All regions and
 * accounts are behind one port; a request's signature names its region.
 *
 * For tests alone: it keeps keys in memory, and its log has the data keys that it was sent.
 *
 * @example
 * ```ts
 * import { awsKmsKey } from "envelock/providers/aws-kms";
 * import { AwsKmsEmulator } from "envelock/testing/aws-kms-emulator";
 *
 * const emulator = await AwsKmsEmulator.start();
 * const key = awsKmsKey({ ...emulator.connection, keyArn: emulator.createKey() });
 * await emulator.close();
 * ```
 */
export class AwsKmsEmulator extends LoopbackEmulator<LoggedRequest, OwnFault> {
  /** Credentials that may do everything. */
  readonly credentials: EmulatedCredentials;
  /** A `fetch` that trusts the server's certificate. */
  readonly fetch: HttpFetch;
  readonly #state: AwsState;
  readonly #server: LoopbackServer<LoggedRequest, OwnFault>;

  private constructor(given: AwsKmsEmulatorOptions) {
    refuseUnknown(given, EMULATOR_OPTIONS, "AwsKmsEmulator.start");
    const { clock = systemClock, callsPerSecond = Number.POSITIVE_INFINITY, onRequest } = given;
    const principals = new Principals(clock);
    const identity = new IdentityServices(clock, principals);
    const state: AwsState = { clock, principals, identity, keys: new KeyStore(clock), skewMs: 0, callsPerSecond };
    const server = new LoopbackServer<LoggedRequest, OwnFault>(new AwsService(state), { clock, onRequest });
    super(server, isFaultName);
    this.#state = state;
    this.#server = server;
    this.credentials = principals.issue({});
    this.fetch = httpsFetch({ ca: server.ca });
  }

  /** Starts one; ends with `await using`, or with `close`. @throws `unavailable` if the port is taken */
  static async start(options: AwsKmsEmulatorOptions = {}): Promise<AwsKmsEmulator> {
    const emulator = new AwsKmsEmulator(options);
    await emulator.#server.listen(options.port ?? 0);
    return emulator;
  }

  /** The options that `awsKmsKey` needs beside the key. */
  get connection(): AwsKmsEmulatorConnection {
    return { endpoint: this.url, credentials: this.credentials, fetch: this.fetch };
  }

  /** @returns the ARN of a new key */
  createKey(traits: KmsKeyTraits = {}): string {
    return this.#state.keys.create(traits).arn;
  }

  /** Makes a multi-region key's replica. @returns its ARN @throws `key-not-found` */
  replicate(keyArn: string, region: string): string {
    return this.#state.keys.replicate(this.#key(keyArn), region).arn;
  }

  /** Makes an alias such as `alias/orders` in the key's region and account, or moves it. @throws `key-not-found` */
  setAlias(name: string, keyArn: string): void {
    this.#state.keys.setAlias(name, this.#key(keyArn));
  }

  /** Gives a key new material. @returns the id of the material @throws `key-not-found` */
  rotate(keyArn: string): string {
    const key = this.#key(keyArn);
    key.rotate(this.#state.clock.unixMs());
    return key.currentMaterialId ?? "";
  }

  /** @throws `key-not-found` */
  setState(keyArn: string, state: KmsKeyState): void {
    this.#key(keyArn).state = state;
  }

  /**
   * Makes a key one of imported material that expires, or of material of the service, which does not.
   *
   * @param atMs milliseconds since 1970. Undefined for never
   * @throws `key-not-found`
   */
  setExpiry(keyArn: string, atMs: number | undefined): void {
    this.#key(keyArn).validToMs = atMs;
  }

  /** Credentials of a new principal. */
  issueCredentials(traits: PrincipalTraits = {}): EmulatedCredentials {
    return this.#state.principals.issue(traits);
  }

  /** Invalidates every credential issued so far, the emulator's own included. */
  revokeCredentials(): void {
    this.#state.principals.revokeAll();
  }

  /** Allows a role to be assumed. */
  addRole(roleArn: string, traits: RoleTraits = {}): void {
    this.#state.identity.addRole(roleArn, traits);
  }

  /**
   * Lets the metadata services of an instance and a container give credentials of a role. Without it they have none.
   *
   * @param authorization what the container must show. Default: nothing
   * @returns the URL of the container's credentials
   */
  serveMetadata(roleArn: string, authorization?: string): string {
    this.#state.identity.instanceRole = roleArn;
    this.#state.identity.containerToken = authorization;
    return `${this.url}${CONTAINER_PATH}`;
  }

  /** Sets the services' clock ahead of the emulator's, or back. */
  setClockAhead(ms: number): void {
    this.#state.skewMs = ms;
  }

  #key(keyArn: string): KmsKey {
    const [, , , region = "", account = ""] = keyArn.split(":");
    try {
      return this.#state.keys.find(keyArn, { region, account });
    } catch (error) {
      if (!(error instanceof AwsAnswer)) throw error;
      throw new EnvelockError("key-not-found", `aws kms emulator: ${error.message}`, { cause: error });
    }
  }
}

const EMULATOR_OPTIONS: OptionNames<AwsKmsEmulatorOptions> = { port: true, clock: true, callsPerSecond: true, onRequest: true };
