import { type Clock, systemClock } from "../../core/base/clock.ts";
import { invalidArgument } from "../../core/base/errors.ts";
import { type OptionNames, refuseUnknown, shownValue } from "../../core/base/options.ts";
import { GoogleEmulator } from "../emulator/google-emulator.ts";
import { IdentityServices } from "../emulator/google-identity.ts";
import { Principals } from "../emulator/google-principals.ts";
import { LoopbackServer } from "../emulator/loopback-server.ts";
import { byteCount, Capacity } from "../emulator/stored-bytes.ts";
import { GcsAnswer } from "./answer.ts";
import type { Bucket } from "./bucket.ts";
import { addBucket } from "./bucket-requests.ts";
import { isFaultName, type OwnFault } from "./faults.ts";
import type { GcsState } from "./gcs-call.ts";
import { GcsService, type LoggedRequest } from "./gcs-service.ts";

export interface GcsEmulatorOptions {
  /** A port on 127.0.0.1. Default: a free one. */
  readonly port?: number;
  /** Whether it serves HTTPS, with a certificate of its own. Default: HTTP. */
  readonly https?: boolean;
  /** The source of time. Default: the machine's clock. */
  readonly clock?: Clock;
  /** The length of the body that a request may have. Default: 128 MiB. */
  readonly mostBodyBytes?: number;
  /** The bytes of all objects and uploads together. Default: 1 GiB. */
  readonly mostStoredBytes?: number;
  /** Called after each request with its log entry. */
  readonly onRequest?: (request: LoggedRequest) => void;
}

/** The options with which `gcsBlobs` reaches an emulator, beside the name of a bucket. */
export interface GcsEmulatorConnection {
  readonly url: string;
  readonly token: string;
}

/** How a bucket is made. */
export interface GcsBucketTraits {
  /** Whether it keeps older generations. Default: no. */
  readonly versioning?: boolean;
  /** How long an object may be neither replaced nor deleted. Default: 0. */
  readonly retentionSeconds?: number;
}

/**
 * Google Cloud Storage on a loopback port, over its JSON API: objects with generations, conditions, metadata, resumable uploads, holds,
 * versions and checksums, the services that give tokens, and faults on order.
 *
 * For tests alone: it keeps objects in memory.
 *
 * @example
 * ```ts
 * import { gcsBlobs } from "envelock/blobs/gcs";
 * import { GcsEmulator } from "envelock/testing/gcs";
 *
 * const emulator = await GcsEmulator.start();
 * const store = gcsBlobs({ ...emulator.connection, bucket: emulator.createBucket("invoices") });
 * await store.list({ limit: 10 });
 * await emulator.close();
 * ```
 */
export class GcsEmulator extends GoogleEmulator<LoggedRequest, OwnFault> {
  readonly #state: GcsState;
  readonly #server: LoopbackServer<LoggedRequest, OwnFault>;

  private constructor(given: GcsEmulatorOptions) {
    refuseUnknown(given, EMULATOR_OPTIONS, "GcsEmulator.start");
    const { clock = systemClock, https = false, onRequest } = given;
    const principals = new Principals(clock, SCOPES);
    const identity = new IdentityServices(clock, principals);
    const state: GcsState = {
      clock,
      principals,
      scheme: https ? "https" : "http",
      buckets: new Map(),
      sessions: new Map(),
      capacity: new Capacity(
        byteCount(given.mostStoredBytes, 2 ** 30, "mostStoredBytes"),
        (text) => new GcsAnswer(507, "insufficientStorage", text),
      ),
      lastGeneration: 0,
    };
    const service = new GcsService(state, identity, byteCount(given.mostBodyBytes, 2 ** 27, "mostBodyBytes"));
    const server = new LoopbackServer<LoggedRequest, OwnFault>(service, { clock, onRequest, isPlain: !https });
    super(server, isFaultName, { principals, identity });
    this.#state = state;
    this.#server = server;
  }

  /** Starts one; ends with `await using`, or with `close`. @throws `unavailable` if the port is taken, `invalid-argument` */
  static async start(options: GcsEmulatorOptions = {}): Promise<GcsEmulator> {
    const emulator = new GcsEmulator(options);
    await emulator.#server.listen(options.port ?? 0);
    return emulator;
  }

  /** The options that `gcsBlobs` needs beside the bucket. */
  get connection(): GcsEmulatorConnection {
    return { url: this.url, token: this.token };
  }

  /** Makes a bucket. @returns its name @throws `invalid-argument` for a name that is none, or is taken */
  createBucket(name: string, traits: GcsBucketTraits = {}): string {
    refuseUnknown(traits, BUCKET_OPTIONS, "createBucket");
    try {
      const bucket = addBucket(this.#state, name, "EUROPE-WEST3");
      bucket.isVersioned = traits.versioning === true;
      bucket.retentionSeconds = traits.retentionSeconds ?? 0;
      return bucket.name;
    } catch (error) {
      if (!(error instanceof GcsAnswer)) throw error;
      throw invalidArgument(error.message, "a name has 3 to 222 lower-case letters, digits, dots, hyphens and underscores");
    }
  }

  /** The stored bytes of the live object. @returns undefined if there is none @throws `invalid-argument` for a bucket that is not there */
  objectBytes(bucket: string, name: string): Uint8Array | undefined {
    const object = this.#bucket(bucket).object(name);
    return object === undefined ? undefined : new Uint8Array(Buffer.concat(object.pieces));
  }

  /** The custom metadata of the live object. @returns undefined if there is none @throws `invalid-argument` */
  objectMetadata(bucket: string, name: string): Readonly<Record<string, string>> | undefined {
    return this.#bucket(bucket).object(name)?.traits.metadata;
  }

  /** The names of the live objects, in order. @throws `invalid-argument` */
  objectNames(bucket: string): readonly string[] {
    return this.#bucket(bucket)
      .objects(false)
      .map(({ name }) => name);
  }

  /** The number of upload sessions in a bucket that were neither finished nor cancelled. @throws `invalid-argument` */
  openUploads(bucket: string): number {
    const { name } = this.#bucket(bucket);
    const isOpen = [...this.#state.sessions.values()].filter(
      (session) => session.bucket === name && session.object === undefined && !session.isCancelled,
    );
    return isOpen.length;
  }

  /** Forgets all upload sessions, as the service does after a week. */
  forgetUploads(): void {
    for (const { kept, object } of this.#state.sessions.values()) if (object === undefined) this.#state.capacity.release(kept);
    this.#state.sessions.clear();
  }

  #bucket(name: string): Bucket {
    const found = this.#state.buckets.get(name);
    if (found === undefined) throw invalidArgument(`there is no bucket ${shownValue(name)}`);
    return found;
  }
}

const EMULATOR_OPTIONS: OptionNames<GcsEmulatorOptions> = {
  port: true,
  https: true,
  clock: true,
  mostBodyBytes: true,
  mostStoredBytes: true,
  onRequest: true,
};
const BUCKET_OPTIONS: OptionNames<GcsBucketTraits> = { versioning: true, retentionSeconds: true };
const SCOPES = ["devstorage.full_control", "devstorage.read_write", "devstorage.read_only"];
