import { connect as connectPlain } from "node:net";
import { connect } from "node:tls";
import { afterAll, expect, test } from "vitest";
import { AzureEmulator } from "../../../src/testing/azure-emulator/index.ts";
import { ask } from "./ask.ts";

const emulator = await AzureEmulator.start();
const identity = new URL(await emulator.serveManagedIdentity());
afterAll(() => emulator.close());

const TARGETS = ["//", "///", "http://", "//a:b@c/", "*", "/%", "/keys/%ff", "//[", "/?%", "ftp://x/", "/keys/orders//", "/\\\\"];

test.each(TARGETS)("a request for %j is answered, and the server goes on", async (target) => {
  const { port } = new URL(emulator.url);
  const overTls = connect({ port: Number(port), host: "127.0.0.1", ca: emulator.ca });
  expect(await firstLine(overTls, target)).toMatch(/^HTTP\/1\.1 4\d\d /);
  expect(await firstLine(connectPlain(Number(identity.port), identity.hostname), target)).toMatch(/^HTTP\/1\.1 400 /);
  expect((await ask(emulator, "GET", "/keys")).status).toBe(200);
});

async function firstLine(socket: import("node:net").Socket, target: string): Promise<string> {
  socket.end(`GET ${target} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n`);
  const parts: Buffer[] = [];
  for await (const part of socket) parts.push(part);
  return Buffer.concat(parts).toString("latin1").split("\r\n")[0] ?? "";
}
