import { type Clock, systemClock } from "../../src/core/base/clock.ts";
import { EnvelockError, invalidArgument } from "../../src/core/base/errors.ts";
import { Expiring } from "../http/expiring.ts";
import { fieldOf, textFieldOf } from "../http/fields.ts";
import { type HttpAnswer, type HttpRequest, HttpService } from "../http/http-service.ts";
import { brokenAnswer, serverFailure, type VaultOperation } from "./failures.ts";
import { VaultLogin } from "./logins.ts";
import type { VaultConnectionOptions, VaultToken, VaultTokenSource } from "./options.ts";
import { checkedPath } from "./paths.ts";

/** A token with what the server says of its life. */
interface HeldToken extends VaultToken {
  /** Whether `renew-self` may lengthen its life, and how long it was at first. */
  readonly renewable?: { readonly lifeMs: number };
}

/** A server and the token that it is shown: renewed at two thirds of its life, fetched anew once where the server refuses it. */
export class VaultConnection {
  /** The server's origin, with a port. */
  readonly origin: string;
  readonly #http: HttpService;
  readonly #namespace: string | undefined;
  readonly #clock: Clock;
  readonly #source: VaultTokenSource;
  readonly #tokens: Expiring<HeldToken>;
  #last: HeldToken | undefined;
  #isClosed = false;

  /** @throws `invalid-argument` */
  constructor({ address, token, namespace, ...http }: VaultConnectionOptions) {
    this.#http = new HttpService(address, http);
    this.origin = withPort(this.#http.origin);
    this.#namespace = namespace === undefined ? undefined : checkedPath("namespace", namespace);
    this.#clock = http.clock ?? systemClock;
    this.#source = checkedSource(token);
    this.#tokens = new Expiring({
      clock: this.#clock,
      load: () => this.#load(),
      expiresAtMs: ({ expiresAtMs }) => expiresAtMs,
      aheadMs: Number.POSITIVE_INFINITY, // at two thirds of its life
    });
  }

  /**
   * Makes one call with the token.
   *
   * @param of the key, for errors
   * @returns the `data` of the answer
   * @throws `closed`; what the answer says in our codes
   */
  async call(operation: VaultOperation, of: string, request: Omit<HttpRequest, "what">, signal: AbortSignal | undefined): Promise<unknown> {
    this.requireOpen();
    signal?.throwIfAborted();
    const token = await this.#tokens.get(signal);
    const first = await this.#send(operation, of, request, token.token, signal);
    if (first.status !== 403 || typeof this.#source === "string") return dataOf(first, operation, of);
    this.#tokens.refused(token);
    this.#last = undefined;
    const fresh = await this.#tokens.get(signal);
    if (fresh.token === token.token) return dataOf(first, operation, of);
    return dataOf(await this.#send(operation, of, request, fresh.token, signal), operation, of);
  }

  /** Asks how the server is, without a token. @returns what it says, whatever the status */
  async health(): Promise<unknown> {
    return (await this.#send("read-key", "the server", { method: "GET", path: "/v1/sys/health" }, undefined, undefined)).json;
  }

  /** @throws `closed` */
  requireOpen(): void {
    if (this.#isClosed) throw new EnvelockError("closed", "this transit key has been closed");
  }

  close(): void {
    this.#isClosed = true;
  }

  async #load(): Promise<HeldToken> {
    this.#last = await this.#fresh(this.#last);
    return this.#last;
  }

  async #fresh(last: HeldToken | undefined): Promise<HeldToken> {
    if (typeof this.#source === "string") return { token: this.#source };
    if (!(this.#source instanceof VaultLogin)) return checkedToken(await given(this.#source));
    const renewed = last?.renewable === undefined ? undefined : await this.#renewed(last, last.renewable.lifeMs);
    return renewed ?? (await this.#loggedIn(this.#source));
  }

  /** The same token with a longer life; undefined where it can get no longer and a login has to follow. */
  async #renewed({ token }: HeldToken, lifeMs: number): Promise<HeldToken | undefined> {
    const answer = await this.#send(
      "renew",
      "the token",
      { method: "POST", path: "/v1/auth/token/renew-self", body: "{}" },
      token,
      undefined,
    );
    if (answer.status !== 200) return undefined;
    const held = this.#heldToken(answer, "renew", lifeMs);
    return held.expiresAtMs !== undefined && held.expiresAtMs - this.#clock.unixMs() >= lifeMs / 2 ? held : undefined;
  }

  async #loggedIn(login: VaultLogin): Promise<HeldToken> {
    const path = `/v1/auth/${login.mount}/login`;
    const answer = await this.#send(
      "login",
      login.mount,
      { method: "POST", path, body: JSON.stringify(await given(() => login.fields())) },
      undefined,
      undefined,
    );
    if (answer.status !== 200) throw serverFailure(answer, "login", login.mount);
    return this.#heldToken(answer, "login", undefined);
  }

  #heldToken({ json }: HttpAnswer, operation: "login" | "renew", firstLifeMs: number | undefined): HeldToken {
    const auth = fieldOf(json, "auth");
    const token = textFieldOf(auth, "client_token");
    const seconds = fieldOf(auth, "lease_duration");
    if (token === undefined || token === "" || typeof seconds !== "number") throw brokenAnswer(operation, "the token", "holds no token");
    const lifeMs = seconds * 1000;
    if (seconds === 0) return { token };
    const renewable = fieldOf(auth, "renewable") === true ? { renewable: { lifeMs: firstLifeMs ?? lifeMs } } : {};
    return { token, expiresAtMs: this.#clock.unixMs() + lifeMs, ...renewable };
  }

  async #send(
    operation: VaultOperation,
    of: string,
    request: Omit<HttpRequest, "what">,
    token: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<HttpAnswer> {
    const headers = {
      accept: "application/json",
      "x-vault-request": "true",
      ...(request.body !== undefined && { "content-type": "application/json" }),
      ...(token !== undefined && { "x-vault-token": token }),
      ...(this.#namespace !== undefined && { "x-vault-namespace": this.#namespace }),
    };
    return await this.#http.send({ ...request, headers, what: `vault ${operation} with ${of}` }, signal);
  }
}

/** What a function of the caller's gives. Its error may hold the credential's own words, which the caller knows. */
async function given<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (cause) {
    if (cause instanceof EnvelockError) throw cause;
    throw new EnvelockError("access-denied", "the function that gives the vault credential failed", { detail: "credential", cause });
  }
}

function dataOf(answer: HttpAnswer, operation: VaultOperation, of: string): unknown {
  if (answer.status !== 200) throw serverFailure(answer, operation, of);
  const data = fieldOf(answer.json, "data");
  if (typeof data !== "object" || data === null) throw brokenAnswer(operation, of, "holds no data");
  return data;
}

function checkedSource(source: VaultTokenSource): VaultTokenSource {
  if (source instanceof VaultLogin || typeof source === "function") return source;
  if (typeof source === "string" && TOKEN.test(source)) return source;
  throw invalidArgument("token is a token, a function that gives one, or a login such as appRole()");
}

function checkedToken(given: VaultToken): VaultToken {
  if (typeof given?.token === "string" && TOKEN.test(given.token)) return given;
  throw new EnvelockError("access-denied", "the token function gave no token", {
    detail: "credential",
    hint: "it must resolve to { token, expiresAtMs? }",
  });
}

/** `https://host:443` for `https://host`, so that one server has one spelling in key ids. */
function withPort(origin: string): string {
  const { protocol, hostname, port } = new URL(origin);
  return `${protocol}//${hostname}:${port === "" ? (protocol === "https:" ? 443 : 80) : port}`;
}

/** What may stand in a header. */
const TOKEN = /^[\x21-\x7e]{1,2048}$/;
