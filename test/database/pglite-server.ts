import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { PGlite } from "@electric-sql/pglite";

/**
 * PGlite behind PostgreSQL's protocol on a free loopback port, so that every client that reaches a server reaches it too. It has one
 * session: clients are served one after the other.
 */
export async function pgliteServer(): Promise<{ readonly url: string; close(): Promise<void> }> {
  const database = await PGlite.create();
  const sockets = new Set<Socket>();
  let turn: Promise<unknown> = Promise.resolve();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    turn = turn.then(() => serve(database, socket)).catch(() => socket.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    url: `postgres://postgres@127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/postgres`,
    async close() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await turn;
      await database.close();
    },
  };
}

async function serve(database: PGlite, socket: Socket): Promise<void> {
  let pending: Uint8Array = new Uint8Array(0);
  let hasStarted = false;
  for await (const chunk of socket) {
    pending = Buffer.concat([pending, chunk]);
    const end = endOfMessages(pending, hasStarted);
    if (end === 0) continue;
    const messages = pending.slice(0, end);
    pending = pending.slice(end);
    hasStarted = true;
    if (messages[0] === TERMINATE) break;
    socket.write(await database.execProtocolRaw(messages));
  }
  socket.end();
  await database.exec("discard all"); // as if the next client had a session of its own
}

/** Where the last whole message ends. The first message of a connection has no type before its length. */
function endOfMessages(bytes: Uint8Array, hasStarted: boolean): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const typeBytes = hasStarted ? 1 : 0;
  let end = 0;
  while (end + typeBytes + 4 <= bytes.length) {
    const next = end + typeBytes + view.getUint32(end + typeBytes);
    if (next > bytes.length) break;
    end = next;
    if (!hasStarted) break;
  }
  return end;
}

const TERMINATE = "X".charCodeAt(0);
