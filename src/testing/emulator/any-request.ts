import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";

/** Wraps a handler of requests: an exception becomes a 500, and the server goes on. */
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

/** Parses the target of a request. Returns undefined for an invalid one, such as `//` or an absolute URL of another scheme. */
export function urlOf({ url = "/" }: IncomingMessage, origin: string): URL | undefined {
  return url.startsWith("/") && URL.canParse(`${origin}${url}`) ? new URL(`${origin}${url}`) : undefined;
}
