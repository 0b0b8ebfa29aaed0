import { once } from "node:events";
import type { Server } from "node:http";

/** Gives the origin of a server, which listens on a free port of this machine if it does not listen yet. */
export async function originOf(server: Server): Promise<string> {
  if (!server.listening) {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  }
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
}
