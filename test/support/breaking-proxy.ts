import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** A proxy on loopback that breaks a connection once, after so many bytes in one direction. */
export interface BreakingProxy {
  readonly port: number;
  /** Breaks the connection through which byte `bytes` from now on passes, counted over all connections. */
  breakOnce(direction: "up" | "down", bytes: number): void;
  /** Whether the break that was asked for has come. */
  readonly hasBroken: boolean;
  close(): Promise<void>;
}

export async function breakingProxy(targetPort: number): Promise<BreakingProxy> {
  let plan: { readonly direction: "up" | "down"; left: number } | undefined;
  const open = new Set<Socket>();
  const passed = (direction: "up" | "down", piece: Buffer, from: Socket, to: Socket): void => {
    if (plan?.direction === direction) {
      plan.left -= piece.length;
      if (plan.left <= 0) {
        plan = undefined;
        from.resetAndDestroy();
        to.resetAndDestroy();
        return;
      }
    }
    if (!to.write(piece)) {
      from.pause();
      to.once("drain", () => from.resume());
    }
  };
  const server = createServer((client) => {
    const upstream = connect(targetPort, "127.0.0.1");
    for (const [socket, other, direction] of [
      [client, upstream, "up"],
      [upstream, client, "down"],
    ] as const) {
      open.add(socket);
      socket.on("data", (piece) => passed(direction, piece, socket, other));
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        open.delete(socket);
        other.end();
      });
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    port: typeof address === "object" ? (address?.port ?? 0) : 0,
    breakOnce(direction, bytes) {
      plan = { direction, left: bytes };
    },
    get hasBroken() {
      return plan === undefined;
    },
    async close() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
