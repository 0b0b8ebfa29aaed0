import { once } from "node:events";
import { createServer as createPlainServer, type Server, type Socket } from "node:net";
import { createServer } from "node:tls";
import { loopbackCertificate } from "../../src/testing/emulator/certificate.ts";

/** What a server does once it has received a request, whose head it gets as text. */
export type Reply = (socket: Socket, head: string) => void;

/** A server without HTTP of its own: it reads requests whole, and answers with whatever bytes a test gives. */
export class RawServer {
  /** `https://127.0.0.1:<port>`, or `http://` without TLS. */
  readonly origin: string;
  /** The authority of its certificate, in PEM; empty without TLS. */
  readonly ca: string;
  reply: Reply = (socket) => socket.destroy();
  /** The most bytes that one connection took, of those that are closed. */
  mostWritten = 0;
  readonly #server: Server;
  readonly #sockets: Set<Socket> = new Set();

  private constructor(server: Server, origin: string, ca: string) {
    this.#server = server;
    this.origin = origin;
    this.ca = ca;
  }

  static async start({ tls }: { readonly tls: boolean }): Promise<RawServer> {
    const { ca, certificate, privateKey } = loopbackCertificate();
    const server = tls ? createServer({ key: privateKey, cert: certificate }) : createPlainServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" ? address?.port : 0;
    const made = new RawServer(server, `${tls ? "https" : "http"}://127.0.0.1:${port}`, tls ? ca : "");
    server.on(tls ? "secureConnection" : "connection", (socket: Socket) => made.#serve(socket));
    return made;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => {
      this.#sockets.delete(socket);
      this.mostWritten = Math.max(this.mostWritten, socket.bytesWritten);
    });
    socket.on("error", () => {}); // the client broke off
    let received = "";
    socket.on("data", (part) => {
      received += part.toString("latin1");
      const end = received.indexOf("\r\n\r\n");
      const [, length = "0"] = /\r\ncontent-length: *(\d+)/i.exec(received) ?? [];
      if (end === -1 || received.length < end + 4 + Number(length)) return;
      const head = received.slice(0, end);
      received = "";
      this.reply(socket, head);
    });
  }
}

/** Waits until a client has closed its connection. */
export async function closed(socket: Socket | undefined): Promise<void> {
  if (socket?.closed === false) await new Promise((resolve) => socket.once("close", resolve));
}
