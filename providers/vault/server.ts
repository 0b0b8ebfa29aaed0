import { type HttpAnswer, type HttpOptions, type HttpRequest, HttpService } from "../http/http-service.ts";
import type { VaultOperation } from "./failures.ts";
import { checkedPath } from "./paths.ts";

/** A request, and what it asks for. */
export interface VaultRequest extends Omit<HttpRequest, "what" | "headers"> {
  readonly operation: VaultOperation;
  /** The key or login, for errors. */
  readonly of: string;
}

/** A server in one namespace, without a token. */
export class VaultServer {
  /** The server's origin, with a port. */
  readonly origin: string;
  readonly namespace: string | undefined;
  readonly #http: HttpService;

  /** @throws `invalid-argument` */
  constructor(address: string, namespace: string | undefined, http: HttpOptions) {
    this.#http = new HttpService(address, http);
    this.origin = withPort(this.#http.origin);
    this.namespace = namespace === undefined ? undefined : checkedPath("namespace", namespace);
  }

  async send({ operation, of, ...request }: VaultRequest, token: string | undefined, signal: AbortSignal | undefined): Promise<HttpAnswer> {
    const headers = {
      accept: "application/json",
      "x-vault-request": "true",
      ...(request.body !== undefined && { "content-type": "application/json" }),
      ...(token !== undefined && { "x-vault-token": token }),
      ...(this.namespace !== undefined && { "x-vault-namespace": this.namespace }),
    };
    return await this.#http.send({ ...request, headers, what: `vault ${operation} with ${of}` }, signal);
  }
}

/** `https://host:443` for `https://host`, so that one server has one spelling in key ids. */
function withPort(origin: string): string {
  const { protocol, hostname, port } = new URL(origin);
  return `${protocol}//${hostname}:${port === "" ? (protocol === "https:" ? 443 : 80) : port}`;
}
