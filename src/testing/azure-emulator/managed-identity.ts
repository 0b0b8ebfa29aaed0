import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Clock } from "../../core/base/clock.ts";
import { anyRequest, urlOf } from "../emulator/any-request.ts";
import type { Principal } from "./principals.ts";

/**
 * The token endpoint of an Azure virtual machine, on a loopback port. Credentials of `@azure/identity` find it by the variable
 * AZURE_POD_IDENTITY_AUTHORITY_HOST. Another process therefore reaches an emulator without any code.
 */
export class ManagedIdentityEndpoint {
  readonly #server: Server;
  readonly #principal: Principal;
  readonly #clock: Clock;

  private constructor(principal: Principal, clock: Clock) {
    this.#principal = principal;
    this.#clock = clock;
    this.#server = createServer(anyRequest((request, response) => this.#answer(request, response)));
  }

  static async start(principal: Principal, clock: Clock): Promise<ManagedIdentityEndpoint> {
    const endpoint = new ManagedIdentityEndpoint(principal, clock);
    await new Promise<void>((resolve) => endpoint.#server.listen(0, "127.0.0.1", resolve));
    return endpoint;
  }

  get url(): string {
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = urlOf(request, this.url);
    const { metadata } = request.headers;
    const resource = url?.searchParams.get("resource") ?? undefined;
    const isKnown = url?.pathname.startsWith("/metadata/identity/oauth2/token") === true && metadata === "true";
    response.setHeader("date", new Date(this.#clock.unixMs()).toUTCString());
    response.setHeader("content-type", "application/json");
    if (!isKnown || resource === undefined) {
      response.writeHead(400).end('{"error":"invalid_request"}');
      return;
    }
    const { token, expiresOnTimestamp } = await this.#principal.getToken(resource.replace(/\/$/, ""));
    const expires_on = `${Math.floor(expiresOnTimestamp / 1000)}`;
    response.end(JSON.stringify({ access_token: token, expires_on, resource, token_type: "Bearer" }));
  }
}
