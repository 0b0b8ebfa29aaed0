import type { Socket } from "node:net";
import { gzipSync } from "node:zlib";
import type { Reply } from "./raw-server.ts";

// What no service over HTTP sends, for a `RawServer`.

/** Whether the connection broke before the answer was whole, or the answer cannot be read. */
export type Fault = "broken-off" | "unreadable";

/** Begins an answer that does not end, and says when it has begun. */
export type Begins = (socket: Socket, begun: () => void) => void;

const HEAD = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
const CHUNKED = `${HEAD}transfer-encoding: chunked\r\n\r\n`;
const whole = (body: string | Buffer, more = "", status = "200 OK"): Buffer => {
  const bytes = Buffer.from(body);
  return Buffer.concat([Buffer.from(`HTTP/1.1 ${status}\r\n${more}content-length: ${bytes.length}\r\n\r\n`), bytes]);
};
const writes =
  (bytes: string | Buffer): Reply =>
  (socket) =>
    socket.write(bytes);
const ends =
  (bytes: string | Buffer): Reply =>
  (socket) =>
    socket.end(bytes);

/** Answers of which no byte can be used. */
export const ANSWERS: readonly (readonly [what: string, fault: Fault, reply: Reply])[] = [
  ["a reset in place of an answer", "broken-off", (socket) => socket.destroy()],
  ["an end in place of an answer", "broken-off", (socket) => socket.end()],
  ["half a head", "broken-off", ends("HTTP/1.1 200 OK\r\ncontent-le")],
  ["an announcement and no answer", "broken-off", ends("HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n")],
  ["fewer bytes than were announced", "broken-off", ends(`${HEAD}content-length: 100\r\n\r\n{"a":`)],
  ["an end within a chunk", "broken-off", ends(`${CHUNKED}ff\r\n{"a":`)],
  ["an end before the last chunk", "broken-off", ends(`${CHUNKED}2\r\n{}\r\n`)],
  ["no HTTP", "unreadable", ends("220 mail.example ESMTP\r\n\r\n")],
  ["a status that is no number", "unreadable", ends("HTTP/1.1 abc OK\r\n\r\n")],
  ["a header of 40 kB", "unreadable", ends(`${HEAD}x: ${"a".repeat(40_000)}\r\n\r\n`)],
  ["3,000 headers", "unreadable", ends(`${HEAD}${Array.from({ length: 3000 }, (_, at) => `x-${at}: 1\r\n`).join("")}\r\n`)],
  ["a header without end", "unreadable", (socket) => writeWithoutEnd(socket, `${HEAD}x: `, "a".repeat(4096))],
  ["headers without end", "unreadable", (socket) => writeWithoutEnd(socket, HEAD, "x: 1\r\n".repeat(500))],
  ["a header name that is none", "unreadable", ends(`${HEAD}\u0001: 1\r\n\r\n`)],
  ["two lengths", "unreadable", ends(`${HEAD}content-length: 2\r\ncontent-length: 3\r\n\r\n{}`)],
  ["a length that is none", "unreadable", ends(`${HEAD}content-length: two\r\n\r\n{}`)],
  ["a chunk whose length is none", "unreadable", ends(`${CHUNKED}zz\r\n{}\r\n0\r\n\r\n`)],
  ["a chunk that is longer than any number", "unreadable", ends(`${CHUNKED}${"f".repeat(40)}\r\n{}`)],
  ["65,537 bytes", "unreadable", writes(whole(" ".repeat(65_537)))],
  ["bytes without end", "unreadable", (socket) => writeWithoutEnd(socket, `${HEAD}\r\n`, " ".repeat(65_536))],
  ["chunks without end", "unreadable", (socket) => writeWithoutEnd(socket, CHUNKED, `1000\r\n${" ".repeat(4096)}\r\n`)],
];

/** Answers that are read, and whose statuses and bodies are no good. */
export const BODIES: readonly (readonly [string, Buffer])[] = [
  ["204", whole("", "", "204 No Content")],
  ["205", whole("", "", "205 Reset Content")],
  ["304", whole("", "", "304 Not Modified")],
  ["a redirect", whole("", "location: https://elsewhere.example/\r\n", "307 Temporary Redirect")],
  ["299", whole("{}", "", "299 Odd")],
  ["799", whole("{}", "", "799 Odd")],
  ["no body", whole("")],
  ["a page", whole("<!doctype html>")],
  ["an error with 200", whole('{"error":{"code":403,"status":"PERMISSION_DENIED"},"__type":"AccessDeniedException","errors":["QUOTED"]}')],
  ["UTF-16", whole(Buffer.from("\ufeff{}", "utf16le"), "content-type: application/json; charset=utf-16\r\n")],
  ["bytes that are no UTF-8", whole(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]))],
  ["brackets 30,000 deep", whole("[".repeat(30_000) + "]".repeat(30_000))],
  ["what is packed by gzip", whole(gzipSync("{}"), "content-encoding: gzip\r\n")],
  ["what is said to be packed", whole("{}", "content-encoding: gzip\r\n")],
  ["20 MB packed to 20 kB", whole(gzipSync(Buffer.alloc(20_000_000)), "content-encoding: gzip\r\n")],
  ["a member __proto__", whole('{"__proto__":{"KeyId":"QUOTED","data":{},"plaintext":"QUFB"}}')],
  ...[
    "null",
    "-7",
    "true",
    "[]",
    "{}",
    '""',
    '"not base64!"',
    '"QUJD"',
    '"-_-_"',
    '"Q Q = ="',
    "1e999",
    '{"a":[]}',
    `"${"QUJD".repeat(2000)}"`,
  ].map((value) => [`${value.slice(0, 20)} in every member`, whole(membersOf(value))] as const),
  ...["null", "7", '"text"', "[]", "[[]]", "{"].map((text) => [`${text} for a body`, whole(text)] as const),
  ["elements twice and nested", whole(`<a>${"<AccessKeyId>QUOTED</AccessKeyId>".repeat(2)}<SessionToken><b/></SessionToken></a>`)],
];

/** Answers that begin and do not end. */
export const LATE: readonly (readonly [what: string, begins: Begins])[] = [
  ["never begins", (_socket, begun) => begun()],
  ["stops within its head", (socket, begun) => socket.write(HEAD, begun)],
  ["stops after its head", (socket, begun) => socket.write(`${HEAD}content-length: 100\r\n\r\n`, begun)],
  ["stops within its body", (socket, begun) => socket.write(`${HEAD}content-length: 100\r\n\r\n{"a":`, begun)],
  ["stops before its last chunk", (socket, begun) => socket.write(`${CHUNKED}2\r\n{}\r\n`, begun)],
  ["stops within its trailer", (socket, begun) => socket.write(`${CHUNKED}2\r\n{}\r\n0\r\nx: 1`, begun)],
  ["announces itself again and again", (socket, begun) => dribble(socket, "", "HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n", begun)],
  ["comes header by header", (socket, begun) => dribble(socket, HEAD, "x: 1\r\n", begun)],
  ["comes byte by byte", (socket, begun) => dribble(socket, `${HEAD}content-length: 60000\r\n\r\n`, " ", begun)],
  ["comes chunk by chunk", (socket, begun) => dribble(socket, CHUNKED, "1\r\n \r\n", begun)],
];

/** Writes pieces without end, as fast as the client takes them, until the connection is closed. */
function writeWithoutEnd(socket: Socket, head: string, piece: string): void {
  socket.write(head);
  const more = (): void => {
    while (!socket.destroyed && socket.writable) {
      if (!socket.write(piece)) {
        socket.once("drain", more);
        return;
      }
    }
  };
  more();
}

/** Writes a piece whenever the one before has gone out, until the client closes the connection. */
function dribble(socket: Socket, head: string, piece: string, begun: () => void): void {
  let count = 0;
  const next = (): void => {
    if (socket.destroyed || !socket.writable) return;
    if (++count === 20) begun();
    socket.write(piece, () => setImmediate(next));
  };
  socket.write(head, next);
}

/** Every member that any of the answers has, with one value. */
function membersOf(value: string): string {
  const data = ["ciphertext", "key_version", "plaintext", "random_bytes", "latest_version", "client_token", "lease_duration", "renewable"];
  const inner = `{${data.map((name) => `"${name}":${value}`).join()}}`;
  const names = ["KeyId", "CiphertextBlob", "Plaintext", "KeyMaterialId", "KeyMetadata", "Code", "AccessKeyId", "SecretAccessKey", "Token"];
  const others = ["Expiration", "name", "primary", "plaintext", "plaintextCrc32c", "ciphertext", "pem", "algorithm", "data", "dataCrc32c"];
  const tokens = [
    "access_token",
    "expires_in",
    "accessToken",
    "expireTime",
    "key",
    "attributes",
    "kid",
    "value",
    "error",
    "errors",
    "__type",
  ];
  return `{${[...names, ...others, ...tokens].map((name) => `"${name}":${value}`).join()},"data":${inner},"auth":${inner},"key":${inner}}`;
}
