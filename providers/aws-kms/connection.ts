import { type Clock, systemClock } from "../../src/core/base/clock.ts";
import { EnvelockError, invalidArgument } from "../../src/core/base/errors.ts";
import { signedHeaders } from "../../src/core/base/sigv4.ts";
import type { Expiring } from "../http/expiring.ts";
import { type HttpAnswer, HttpService } from "../http/http-service.ts";
import { originOf, type RegionalService } from "./arn.ts";
import { type AwsCredentials, checkedSource, credentialsOf, endOf } from "./credentials.ts";
import { type AwsOperation, brokenAnswer, isSkewed, refusesCredentials, serviceFailure } from "./failures.ts";
import type { AwsConnectionOptions } from "./options.ts";

/** The key service of one region, with credentials that are replaced before they end and fetched anew once where they are refused. */
export class AwsConnection {
  readonly #http: HttpService;
  readonly #host: string;
  /** The key that is called; the region for a generator of random bytes, which has none. */
  readonly arn: string;
  readonly #region: string;
  readonly #clock: Clock;
  readonly #credentials: Expiring<AwsCredentials>;
  /** How far the service's clock is ahead of this machine's, where that was in the way of a signature. */
  #skewMs = 0;
  #isClosed = false;

  /** @throws `invalid-argument` */
  constructor(key: RegionalService, { credentials, fips = false, dualStack = false, endpoint, ...http }: AwsConnectionOptions) {
    if (typeof fips !== "boolean" || typeof dualStack !== "boolean") throw invalidArgument("fips and dualStack are true or false");
    const traits = { fips, dualStack };
    this.#http = new HttpService(endpoint ?? originOf("kms", key, traits), http);
    this.#host = new URL(this.#http.origin).host;
    this.arn = key.text;
    this.#region = key.region;
    this.#clock = http.clock ?? systemClock;
    this.#credentials = credentialsOf(checkedSource(credentials), { key, traits, http });
  }

  /**
   * Makes one call.
   *
   * @param fields the request as the operation has it; the key is added
   * @returns the answer, an object
   * @throws `closed`; what the answer says in our codes
   */
  async call(operation: AwsOperation, fields: object, signal: AbortSignal | undefined): Promise<object> {
    this.requireOpen(signal);
    const body = JSON.stringify({ KeyId: this.arn, ...fields });
    const ask = (credentials: AwsCredentials): Promise<HttpAnswer> => this.#sendInTime(operation, body, credentials, signal);
    const answer = await this.#credentials.use(ask, refusesCredentials, signal);
    if (answer.status !== 200) throw serviceFailure(answer, operation, this.arn);
    if (typeof answer.json === "object" && answer.json !== null) return answer.json;
    throw brokenAnswer(operation, this.arn, "is no JSON object");
  }

  /** Fetches credentials, or gives those that it has. @returns when they end, in Unix milliseconds @throws what the source throws */
  async credentialsEnd(): Promise<number | undefined> {
    return endOf(await this.#credentials.get());
  }

  /** The service's origin. */
  get origin(): string {
    return this.#http.origin;
  }

  /** @throws `closed`; the signal's reason */
  requireOpen(signal: AbortSignal | undefined): void {
    if (this.#isClosed) throw new EnvelockError("closed", "this AWS KMS key has been closed");
    signal?.throwIfAborted();
  }

  close(): void {
    this.#isClosed = true;
  }

  /** Sends, and once more by the service's clock if it did not believe this machine's. */
  async #sendInTime(
    operation: AwsOperation,
    body: string,
    credentials: AwsCredentials,
    signal: AbortSignal | undefined,
  ): Promise<HttpAnswer> {
    const answer = await this.#send(operation, body, credentials, signal);
    if (!isSkewed(answer) || answer.serverUnixMs === undefined) return answer;
    const skewMs = answer.serverUnixMs - this.#clock.unixMs();
    if (Math.abs(skewMs - this.#skewMs) < LEAST_SKEW_MS) return answer; // the time was right
    this.#skewMs = skewMs;
    return await this.#send(operation, body, credentials, signal);
  }

  async #send(operation: AwsOperation, body: string, credentials: AwsCredentials, signal: AbortSignal | undefined): Promise<HttpAnswer> {
    const request = {
      method: "POST",
      host: this.#host,
      path: "/",
      headers: { "content-type": "application/x-amz-json-1.1", "x-amz-target": `TrentService.${operation}` },
      body,
    } as const;
    const nowMs = this.#clock.unixMs() + this.#skewMs;
    const headers = signedHeaders(request, { region: this.#region, service: "kms", credentials, nowMs });
    return await this.#http.send({ method: "POST", path: "/", headers, body, what: `aws ${operation} with ${this.arn}` }, signal);
  }
}

const LEAST_SKEW_MS = 60_000;
