import { EnvelockError } from "../../src/core/base/errors.ts";
import type { Expiring } from "../http/expiring.ts";
import { fieldOf } from "../http/fields.ts";
import { brokenAnswer, serverFailure } from "./failures.ts";
import type { VaultConnectionOptions } from "./options.ts";
import { type VaultRequest, VaultServer } from "./server.ts";
import { type HeldToken, tokensOf } from "./tokens.ts";

/** A server and the token that it is shown: fetched anew once where the server refuses it. */
export class VaultConnection {
  readonly #server: VaultServer;
  readonly #tokens: Expiring<HeldToken>;
  #isClosed = false;

  /** @throws `invalid-argument` */
  constructor({ address, token, namespace, ...http }: VaultConnectionOptions) {
    this.#server = new VaultServer(address, namespace, http);
    this.#tokens = tokensOf(token, this.#server, http);
  }

  /** The server's origin, with a port. */
  get origin(): string {
    return this.#server.origin;
  }

  /**
   * Makes one call with the token.
   *
   * @returns the `data` of the answer
   * @throws `closed`; what the answer says in our codes
   */
  async call(request: VaultRequest, signal: AbortSignal | undefined): Promise<object> {
    this.requireOpen(signal);
    const ask = ({ token }: HeldToken): ReturnType<VaultServer["send"]> => this.#server.send(request, token, signal);
    const answer = await this.#tokens.use(ask, ({ status }) => status === 403, signal);
    const { operation, of } = request;
    if (answer.status !== 200) throw serverFailure(answer, operation, of);
    const data = fieldOf(answer.json, "data");
    if (typeof data !== "object" || data === null) throw brokenAnswer(operation, of, "holds no data");
    return data;
  }

  /** Asks how the server is, without a token. @returns what it says, whatever the status */
  async health(): Promise<unknown> {
    const request = { operation: "read-key", of: "the server", method: "GET", path: "/v1/sys/health" } as const;
    return (await this.#server.send(request, undefined, undefined)).json;
  }

  /** @throws `closed`; the signal's reason */
  requireOpen(signal: AbortSignal | undefined): void {
    if (this.#isClosed) throw new EnvelockError("closed", "this transit key has been closed");
    signal?.throwIfAborted();
  }

  close(): void {
    this.#isClosed = true;
  }
}
