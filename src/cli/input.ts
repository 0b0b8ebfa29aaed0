import { constants, type Stats } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { concatBytes } from "../core/base/bytes.ts";
import { invalidArgument } from "../core/base/errors.ts";
import { ENVELOPE_HEAD, HEADER_PREFIX_BYTES, headerBytesOf } from "../core/format/envelope.ts";
import { notWhatItReads } from "./appearance.ts";
import { systemError } from "./failure.ts";
import { blobInput } from "./places/blob-input.ts";
import type { Source } from "./places/store-kind.ts";

/** A file, a blob or standard input, to be read once, from the start. */
export interface Input {
  /** For messages. */
  readonly name: string;
  /** Undefined for a pipe, which does not know. */
  readonly sizeBytes: number | undefined;
  /** Read as they are asked for, at most 64 KiB at a time. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** The bytes from `start` to before `end`, fewer if the file ends before; undefined for a pipe and a blob. */
  readonly part?: (start: number, end: number) => Promise<Uint8Array>;
}

/** What stands for standard input or output in place of a path. */
export const STANDARD_STREAM = "-";

/** Opens a file, a blob, or standard input (`-`) for as long as `use` takes. */
export async function withInput<T>(source: Source, use: (input: Input) => Promise<T>): Promise<T> {
  if (typeof source !== "string") return await use(await blobInput(source));
  if (source === STANDARD_STREAM) return await withStandardInput(use);
  return await withOpened(source, constants.O_RDONLY, (_handle, input) => use(input));
}

/**
 * Opens a file that is to be replaced by what comes of it.
 *
 * @param use also gets what the open file is
 * @throws `invalid-argument` for a link, and for what is no regular file
 */
export async function withFileInPlace<T>(path: string, use: (input: Input, status: Stats) => Promise<T>): Promise<T> {
  // without O_NONBLOCK a pipe would block here before it can be refused
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
  return await withOpened(path, flags, async (handle, input) => {
    const status = await handle.stat();
    if (status.isDirectory()) throw invalidArgument(`${path} is a folder`, "--recursive takes the envelopes in it");
    if (!status.isFile()) throw invalidArgument(`${path} is not a regular file`, "name the envelope itself");
    return await use(input, status);
  });
}

async function withOpened<T>(path: string, flags: number, use: (handle: FileHandle, input: Input) => Promise<T>): Promise<T> {
  const handle = await open(path, flags).catch((cause: unknown) => {
    throw systemError(`cannot read ${path}`, cause, path);
  });
  try {
    const sizeBytes = await sizeOf(handle);
    const chunks = named(path, chunksOf(handle));
    const part = (start: number, end: number): Promise<Uint8Array> => partOf(handle, start, end);
    return await use(handle, { name: path, sizeBytes, chunks, ...(sizeBytes !== undefined && { part }) });
  } finally {
    await handle.close();
  }
}

/**
 * Reads all of it into one array.
 *
 * @param limit `limitBytes` in words
 * @throws `invalid-argument` as soon as it is seen to be larger
 */
export async function readWhole({ name, sizeBytes, chunks }: Input, limitBytes: number, limit: string): Promise<Uint8Array> {
  if (sizeBytes !== undefined && sizeBytes > limitBytes) throw tooLarge(name, limit);
  let bytes = new Uint8Array(sizeBytes ?? READ_BYTES);
  let length = 0;
  for await (const chunk of chunks) {
    const end = length + chunk.length;
    if (end > limitBytes) throw tooLarge(name, limit);
    if (end > bytes.length) {
      const larger = new Uint8Array(Math.max(end, Math.min(2 * bytes.length, limitBytes)));
      larger.set(bytes);
      bytes = larger;
    }
    bytes.set(chunk, length);
    length = end;
  }
  return bytes.subarray(0, length);
}

/** The first bytes, at least 8 if there are so many, and the same input with nothing missing. */
export async function peek(input: Input): Promise<{ readonly start: Uint8Array; readonly input: Input }> {
  const reader = input.chunks[Symbol.asyncIterator]();
  const start = await atLeast(HEADER_PREFIX_BYTES, new Uint8Array(0), reader);
  return { start, input: { ...input, chunks: restOf(start, reader) } };
}

/** The same input, if it begins like an envelope. @throws `malformed-envelope` that says what it looks like instead */
export async function envelopeIn(input: Input): Promise<Input> {
  const { start, input: whole } = await peek(input);
  requireEnvelope(input.name, start);
  return whole;
}

/**
 * Reads the header of an envelope; the body is read as it is asked for.
 *
 * @returns a header that is as long as it says, unless the input ends before
 * @throws `malformed-envelope`, `unsupported-version` if the input does not begin like an envelope
 */
export async function splitEnvelope({
  name,
  chunks,
}: Input): Promise<{ readonly header: Uint8Array; readonly body: AsyncIterable<Uint8Array> }> {
  const reader = chunks[Symbol.asyncIterator]();
  const prefix = await atLeast(HEADER_PREFIX_BYTES, new Uint8Array(0), reader);
  requireEnvelope(name, prefix);
  const headerBytes = headerBytesOf(prefix);
  const start = await atLeast(headerBytes, prefix, reader);
  return { header: start.subarray(0, headerBytes), body: restOf(start.subarray(headerBytes), reader) };
}

function requireEnvelope(name: string, start: Uint8Array): void {
  if (start[0] !== ENVELOPE_HEAD || start.length < HEADER_PREFIX_BYTES)
    throw notWhatItReads(name, start.subarray(0, SHOWN_BYTES), "an envelope");
}

/** `start` and what is read until there are `bytes` of it, or nothing more comes. */
async function atLeast(bytes: number, start: Uint8Array, reader: AsyncIterator<Uint8Array>): Promise<Uint8Array> {
  const parts = [start];
  let length = start.length;
  while (length < bytes) {
    const next = await reader.next();
    if (next.done === true) break;
    parts.push(next.value);
    length += next.value.length;
  }
  return concatBytes(...parts);
}

async function* restOf(first: Uint8Array, reader: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (first.length > 0) yield first;
  for (let next = await reader.next(); next.done !== true; next = await reader.next()) yield next.value;
}

async function withStandardInput<T>(use: (input: Input) => Promise<T>): Promise<T> {
  const name = "standard input";
  if (process.stdin.isTTY) process.stderr.write("reading from the terminal; Ctrl-D on a line of its own ends the input\n");
  try {
    return await use({ name, sizeBytes: undefined, chunks: named(name, process.stdin) });
  } finally {
    process.stdin.destroy(); // a pipe that somebody holds open would keep the process alive
  }
}

async function* named(name: string, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* chunks;
  } catch (cause) {
    throw systemError(`cannot read ${name}`, cause);
  }
}

async function* chunksOf(handle: FileHandle): AsyncGenerator<Uint8Array> {
  for (;;) {
    const { bytesRead, buffer } = await handle.read(new Uint8Array(READ_BYTES), 0, READ_BYTES);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

async function partOf(handle: FileHandle, start: number, end: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(end - start);
  for (let filled = 0; ; ) {
    const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, start + filled);
    filled += bytesRead;
    if (bytesRead === 0 || filled === bytes.length) return bytes.subarray(0, filled);
  }
}

async function sizeOf(handle: FileHandle): Promise<number | undefined> {
  const stats = await handle.stat();
  return stats.isFile() ? stats.size : undefined;
}

function tooLarge(name: string, limit: string): Error {
  return invalidArgument(`${name} is larger than ${limit}`);
}

const READ_BYTES = 65536;
/** How much of an input is looked at to tell what it is. */
const SHOWN_BYTES = 512;
