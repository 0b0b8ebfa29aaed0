import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";

/** A handler of requests. Whatever a request makes it throw is answered with 500, and the server goes on. */
export function anyRequest(serve: (request: IncomingMessage, response: ServerResponse) => Promise<void>): RequestListener {
  return (request, response) => {
    serve(request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else
        response
          .writeHead(500, { "content-type": "application/json" })
          .end(JSON.stringify({ error: { code: "Emulator", message: `${error}` } }));
    });
  };
}

/** The URL of a request, or undefined for a target that is none, such as `//` or an absolute one of another scheme. */
export function urlOf({ url = "/" }: IncomingMessage, origin: string): URL | undefined {
  return url.startsWith("/") && URL.canParse(`${origin}${url}`) ? new URL(`${origin}${url}`) : undefined;
}
