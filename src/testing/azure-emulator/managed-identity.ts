import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Principal } from "./principals.ts";

/**
 * The token endpoint of an Azure virtual machine, on a loopback port. Credentials of `@azure/identity` find it by the variable
 * AZURE_POD_IDENTITY_AUTHORITY_HOST, so that another process needs no code to reach an emulator.
 */
export class ManagedIdentityEndpoint {
  readonly #server: Server;
  readonly #principal: Principal;

  private constructor(principal: Principal) {
    this.#principal = principal;
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  static async start(principal: Principal): Promise<ManagedIdentityEndpoint> {
    const endpoint = new ManagedIdentityEndpoint(principal);
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

  async #answer({ url: path = "/", headers: { metadata } }: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(path, this.url);
    const resource = searchParams.get("resource");
    const isKnown = pathname.startsWith("/metadata/identity/oauth2/token") && metadata === "true" && resource !== null;
    response.setHeader("content-type", "application/json");
    if (!isKnown) {
      response.writeHead(400).end('{"error":"invalid_request"}');
      return;
    }
    const { token, expiresOnTimestamp } = await this.#principal.getToken(resource.replace(/\/$/, ""));
    const expires_on = `${Math.floor(expiresOnTimestamp / 1000)}`;
    response.end(JSON.stringify({ access_token: token, expires_on, resource, token_type: "Bearer" }));
  }
}
