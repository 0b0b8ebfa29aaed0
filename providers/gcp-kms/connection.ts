import { EnvelockError } from "../../src/core/base/errors.ts";
import type { Expiring } from "../http/expiring.ts";
import { type HttpAnswer, HttpService } from "../http/http-service.ts";
import { brokenAnswer, type GcpOperation, serverFailure } from "./failures.ts";
import { type HeldToken, tokensOf } from "./login.ts";
import type { GcpConnectionOptions } from "./options.ts";

/** What is asked of one resource. */
export interface GcpCall {
  readonly operation: GcpOperation;
  /** The name of the key, the version or the location. */
  readonly name: string;
  /** What follows the name, such as `:encrypt`. */
  readonly suffix?: string;
  /** Left out: the resource is read. */
  readonly body?: object;
}

/** The service and the token that it is shown: replaced before it ends, and once where the service refuses it. */
export class GcpConnection {
  readonly #http: HttpService;
  readonly #tokens: Expiring<HeldToken>;
  #isClosed = false;

  /** @throws `invalid-argument` */
  constructor({ token, endpoint = DEFAULT_ENDPOINT, ...http }: GcpConnectionOptions) {
    this.#http = new HttpService(endpoint, http);
    this.#tokens = tokensOf(token, http);
  }

  get origin(): string {
    return this.#http.origin;
  }

  /**
   * Makes one call with the token.
   *
   * @returns the answer's object
   * @throws `closed`; what the answer says in our codes
   */
  async call(call: GcpCall, signal: AbortSignal | undefined): Promise<object> {
    this.requireOpen(signal);
    const answer = await this.#tokens.use(
      (token) => this.#send(call, token, signal),
      ({ status }) => status === 401,
      signal,
    );
    const { operation, name } = call;
    if (answer.status !== 200) throw serverFailure(answer, operation, name);
    if (typeof answer.json !== "object" || answer.json === null) throw brokenAnswer(operation, name, "is no JSON object");
    return answer.json;
  }

  /** Gets a token, if there is none that works. @throws `access-denied` and what the login throws */
  async token(): Promise<HeldToken> {
    return await this.#tokens.get();
  }

  /** @throws `closed`; the signal's reason */
  requireOpen(signal: AbortSignal | undefined): void {
    if (this.#isClosed) throw new EnvelockError("closed", "this key of Cloud KMS has been closed");
    signal?.throwIfAborted();
  }

  close(): void {
    this.#isClosed = true;
  }

  async #send({ operation, name, suffix = "", body }: GcpCall, { token }: HeldToken, signal: AbortSignal | undefined): Promise<HttpAnswer> {
    const common = {
      accept: "application/json",
      authorization: `Bearer ${token}`,
      "x-goog-request-params": `${operation === "random" ? "location" : "name"}=${encodeURIComponent(name)}`,
    };
    const headers = body === undefined ? common : { "content-type": "application/json", ...common };
    const sent = body === undefined ? ({ method: "GET" } as const) : ({ method: "POST", body: JSON.stringify(body) } as const);
    return await this.#http.send({ ...sent, path: `/v1/${name}${suffix}`, headers, what: `cloud kms ${operation} with ${name}` }, signal);
  }
}

const DEFAULT_ENDPOINT = "https://cloudkms.googleapis.com";
