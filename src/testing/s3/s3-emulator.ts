import { type Clock, systemClock } from "../../core/base/clock.ts";
import { EnvelockError, invalidArgument } from "../../core/base/errors.ts";
import type { HttpFetch } from "../../core/base/http-fetch.ts";
import { httpsFetch } from "../../core/base/https-fetch.ts";
import { closest, type OptionNames, refuseUnknown, shownValue } from "../../core/base/options.ts";
import type { EmulatedCredentials } from "../emulator/aws-credentials.ts";
import { LoopbackEmulator } from "../emulator/loopback-emulator.ts";
import { LoopbackServer } from "../emulator/loopback-server.ts";
import { byteCount, Capacity } from "../emulator/stored-bytes.ts";
import { AccessKeys, type AccessTraits } from "./access-keys.ts";
import { S3Answer } from "./answer.ts";
import type { Bucket } from "./bucket.ts";
import { addBucket } from "./bucket-requests.ts";
import { isFaultName, type OwnFault } from "./faults.ts";
import { type PresignOptions, presignedUrl } from "./presigned-url.ts";
import type { S3State } from "./s3-call.ts";
import { type LoggedRequest, S3Service } from "./s3-service.ts";
import { isS3Service, type S3Service as S3ServiceName, SERVICE_NAMES, SERVICES } from "./services.ts";

export interface S3EmulatorOptions {
  /** A port on 127.0.0.1. Default: a free one. */
  readonly port?: number;
  /** Whether it serves HTTPS, with a certificate of its own. Default: HTTP. */
  readonly https?: boolean;
  /** The service whose rules it follows. `no-conditions` writes whatever a condition says, as many services do. Default: `aws`. */
  readonly service?: S3ServiceName;
  /** Whether objects have annotations. Default: with `aws` alone. */
  readonly annotations?: boolean;
  /** The region of its buckets. Default: `us-east-1`. */
  readonly region?: string;
  /** The source of time. Default: the machine's clock. */
  readonly clock?: Clock;
  /** The length of the body that a request may have. Default: 128 MiB. The service itself takes 5 GiB. */
  readonly mostBodyBytes?: number;
  /** The bytes of all objects and parts together. Default: 1 GiB. */
  readonly mostStoredBytes?: number;
  /** Called after each request with its log entry. */
  readonly onRequest?: (request: LoggedRequest) => void;
}

/** The options with which a client of `@aws-sdk/client-s3` reaches an emulator. */
export interface S3EmulatorConnection {
  readonly endpoint: string;
  readonly region: string;
  readonly credentials: EmulatedCredentials;
  readonly forcePathStyle: true;
}

/**
 * S3 on a loopback port: objects, conditions, multipart uploads, copies, checksums, versions, tags and annotations, with signatures that
 * are checked and faults on order. It follows the rules of AWS, Cloudflare R2, MinIO, or of a service that knows no conditions.
 *
 * For tests alone: it keeps objects in memory.
 *
 * @example
 * ```ts
 * import { S3Emulator } from "envelock/testing/s3";
 *
 * const emulator = await S3Emulator.start({ service: "r2" });
 * emulator.createBucket("invoices");
 * const { endpoint, credentials } = emulator.connection; // for a client
 * await emulator.close();
 * ```
 */
export class S3Emulator extends LoopbackEmulator<LoggedRequest, OwnFault> {
  /** Credentials that may do everything. */
  readonly credentials: EmulatedCredentials;
  /** A `fetch` that trusts the server's certificate. It sends text; for bytes over HTTP use the global one. */
  readonly fetch: HttpFetch;
  readonly #state: S3State;
  readonly #server: LoopbackServer<LoggedRequest, OwnFault>;

  private constructor(given: S3EmulatorOptions) {
    refuseUnknown(given, EMULATOR_OPTIONS, "S3Emulator.start");
    const { clock = systemClock, service = "aws", region = "us-east-1", annotations, https = false, onRequest } = given;
    if (!isS3Service(service)) throw unknownService(service);
    const own = SERVICES[service];
    const state: S3State = {
      clock,
      traits: { ...own, hasAnnotations: annotations ?? own.hasAnnotations },
      region,
      scheme: https ? "https" : "http",
      buckets: new Map(),
      keys: new AccessKeys(clock),
      capacity: new Capacity(byteCount(given.mostStoredBytes, 2 ** 30, "mostStoredBytes"), (text) => new S3Answer("StorageFull", text)),
      skewMs: 0,
      tick: 0,
    };
    const served = new S3Service(state, byteCount(given.mostBodyBytes, 2 ** 27, "mostBodyBytes"));
    const server = new LoopbackServer<LoggedRequest, OwnFault>(served, { clock, onRequest, isPlain: !https });
    super(server, isFaultName);
    this.#state = state;
    this.#server = server;
    this.credentials = state.keys.issue({});
    this.fetch = httpsFetch({ ca: server.ca });
  }

  /** Starts one; ends with `await using`, or with `close`. @throws `unavailable` if the port is taken, `invalid-argument` */
  static async start(options: S3EmulatorOptions = {}): Promise<S3Emulator> {
    const emulator = new S3Emulator(options);
    await emulator.#server.listen(options.port ?? 0);
    return emulator;
  }

  /** The options that a client of the SDK needs. */
  get connection(): S3EmulatorConnection {
    return { endpoint: this.url, region: this.#state.region, credentials: this.credentials, forcePathStyle: true };
  }

  /** Makes a bucket. @returns its name @throws `invalid-argument` for a name that is none, or is taken */
  createBucket(name: string, traits: BucketTraits = {}): string {
    refuseUnknown(traits, BUCKET_OPTIONS, "createBucket");
    if (this.#state.buckets.has(name)) throw invalidArgument(`there is a bucket ${name} already`);
    try {
      const bucket = addBucket(this.#state, name, traits.region ?? this.#state.region);
      bucket.versioning = traits.versioning === true ? "Enabled" : undefined;
      return bucket.name;
    } catch (error) {
      if (!(error instanceof S3Answer)) throw error;
      throw invalidArgument(`"${shownValue(name)}" is not the name of a bucket: 3 to 63 lower-case letters, digits, dots and hyphens`);
    }
  }

  /** The stored bytes of an object. @returns undefined if there is none @throws `invalid-argument` for a bucket that is not there */
  objectBytes(bucket: string, key: string): Uint8Array | undefined {
    const object = this.#bucket(bucket).current(key);
    return object === undefined ? undefined : new Uint8Array(Buffer.concat(object.pieces));
  }

  /** The number of multipart uploads in a bucket that were neither completed nor aborted. @throws `invalid-argument` */
  openUploads(bucket: string): number {
    return this.#bucket(bucket).uploads.size;
  }

  /** Signs a URL with which a request needs no other signature. @throws `invalid-argument` */
  presign(method: string, bucket: string, key: string, options: PresignOptions = {}): string {
    return presignedUrl({ url: this.url, method, bucket, key, credentials: this.credentials, state: this.#state }, options);
  }

  /** Credentials of another caller. */
  issueCredentials(traits: AccessTraits = {}): EmulatedCredentials {
    refuseUnknown(traits, ACCESS_OPTIONS, "issueCredentials");
    return this.#state.keys.issue(traits);
  }

  /** Invalidates every credential issued so far, the emulator's own included. */
  revokeCredentials(): void {
    this.#state.keys.revokeAll();
  }

  /** Sets the service's clock ahead of the emulator's, or back. */
  setClockAhead(ms: number): void {
    this.#state.skewMs = ms;
  }

  #bucket(name: string): Bucket {
    const found = this.#state.buckets.get(name);
    if (found === undefined) throw invalidArgument(`there is no bucket ${shownValue(name)}`);
    return found;
  }
}

export interface BucketTraits {
  /** Default: the emulator's. */
  readonly region?: string;
  /** Whether it keeps versions. Default: no. */
  readonly versioning?: boolean;
}

function unknownService(given: string): EnvelockError {
  const meant = typeof given === "string" ? closest(given, SERVICE_NAMES) : undefined;
  const hint = meant === undefined ? `services: ${SERVICE_NAMES.join(", ")}` : `did you mean \`${meant}\`?`;
  return new EnvelockError("invalid-argument", `S3Emulator.start knows no service ${shownValue(given)}`, { hint });
}

const EMULATOR_OPTIONS: OptionNames<S3EmulatorOptions> = {
  port: true,
  https: true,
  service: true,
  annotations: true,
  region: true,
  clock: true,
  mostBodyBytes: true,
  mostStoredBytes: true,
  onRequest: true,
};
const BUCKET_OPTIONS: OptionNames<BucketTraits> = { region: true, versioning: true };
const ACCESS_OPTIONS: OptionNames<AccessTraits> = { allow: true, lifeSeconds: true };
