import { type Clock, systemClock } from "../../src/core/base/clock.ts";
import { EnvelockError, invalidArgument } from "../../src/core/base/errors.ts";
import { signedHeaders } from "../../src/core/base/sigv4.ts";
import { Expiring } from "../http/expiring.ts";
import { type HttpAnswer, HttpService } from "../http/http-service.ts";
import { type KeyArn, originOf } from "./arn.ts";
import { type AwsCredentials, areSame, checkedSource, endOf, loadedFrom } from "./credentials.ts";
import { type AwsOperation, brokenAnswer, isSkewed, refusesCredentials, serviceFailure } from "./failures.ts";
import type { AwsConnectionOptions } from "./options.ts";

/** The key service of one region, with credentials that are replaced before they end and fetched anew once where they are refused. */
export class AwsConnection {
  readonly #http: HttpService;
  readonly #key: KeyArn;
  readonly #clock: Clock;
  readonly #credentials: Expiring<AwsCredentials>;
  /** How far the service's clock is ahead of this machine's, where that was in the way of a signature. */
  #skewMs = 0;
  #isClosed = false;

  /** @throws `invalid-argument` */
  constructor(key: KeyArn, { credentials, fips = false, dualStack = false, endpoint, ...http }: AwsConnectionOptions) {
    if (typeof fips !== "boolean" || typeof dualStack !== "boolean") throw invalidArgument("fips and dualStack are true or false");
    const traits = { fips, dualStack };
    this.#http = new HttpService(endpoint ?? originOf("kms", key, traits), http);
    this.#key = key;
    this.#clock = http.clock ?? systemClock;
    const source = checkedSource(credentials);
    this.#credentials = new Expiring({
      clock: this.#clock,
      load: () => loadedFrom(source, { key, traits, http }),
      expiresAtMs: endOf,
      aheadMs: AHEAD_MS,
    });
  }

  /**
   * Makes one call.
   *
   * @param fields the request as the operation has it; the key is added
   * @returns the answer, an object
   * @throws `closed`; what the answer says in our codes
   */
  async call(operation: AwsOperation, fields: object, signal: AbortSignal | undefined): Promise<object> {
    this.requireOpen();
    signal?.throwIfAborted();
    const body = JSON.stringify({ KeyId: this.#key.text, ...fields });
    const credentials = await this.#credentials.get(signal);
    const answer = await this.#sendInTime(operation, body, credentials, signal);
    if (!refusesCredentials(answer)) return this.#read(answer, operation);
    this.#credentials.refused(credentials);
    const fresh = await this.#credentials.get(signal);
    if (areSame(fresh, credentials)) return this.#read(answer, operation);
    return this.#read(await this.#sendInTime(operation, body, fresh, signal), operation);
  }

  /** Fetches credentials, or gives those that it has. @returns when they end, in Unix milliseconds @throws what the source throws */
  async credentialsEnd(): Promise<number | undefined> {
    return endOf(await this.#credentials.get());
  }

  /** The service's origin. */
  get origin(): string {
    return this.#http.origin;
  }

  /** @throws `closed` */
  requireOpen(): void {
    if (this.#isClosed) throw new EnvelockError("closed", "this AWS KMS key has been closed");
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
      host: new URL(this.#http.origin).host,
      path: "/",
      headers: { "content-type": "application/x-amz-json-1.1", "x-amz-target": `TrentService.${operation}` },
      body,
    } as const;
    const nowMs = this.#clock.unixMs() + this.#skewMs;
    const headers = await signedHeaders(request, { region: this.#key.region, service: "kms", credentials, nowMs });
    return await this.#http.send({ method: "POST", path: "/", headers, body, what: `aws ${operation} with ${this.#key.text}` }, signal);
  }

  #read(answer: HttpAnswer, operation: AwsOperation): object {
    if (answer.status !== 200) throw serviceFailure(answer, operation, this.#key.text);
    if (typeof answer.json === "object" && answer.json !== null) return answer.json;
    throw brokenAnswer(operation, this.#key.text, "is no JSON object");
  }
}

/** As AWS's own clients: the services give out credentials that have five minutes left. */
const AHEAD_MS = 300_000;
const LEAST_SKEW_MS = 60_000;
