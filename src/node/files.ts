import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { engine } from "#engine";
import { toHex } from "../core/base/bytes.ts";
import type { Keyring } from "../core/keyring/keyring.ts";
import type { EncryptStreamOptions, StreamOptions } from "../core/stream/options.ts";

export interface FileOptions {
  /** The mode of a new file; it takes the umask into account. Plaintext files are 0o600 unless told otherwise. */
  readonly mode?: number;
}

/**
 * Encrypts a file to another, in bounded memory. The target appears under its name only when all of it is written and synced; if
 * anything fails nothing stays behind.
 *
 * @throws as `Keyring.encrypt`, and what the file system throws
 */
export async function encryptFile(
  keyring: Keyring,
  source: string,
  target: string,
  options: EncryptStreamOptions & FileOptions = {},
): Promise<void> {
  await reading(source, async (file, plaintextBytes) => {
    const known = plaintextBytes === undefined ? {} : { plaintextBytes };
    await writeAtomically(target, options.mode ?? 0o666, keyring.encryptPieces(piecesOf(file), { ...known, ...options }));
  });
}

/**
 * Decrypts a file to another, in bounded memory. The target appears under its name only when all of it has been verified and synced;
 * if anything fails nothing stays behind.
 *
 * @throws as `Keyring.decrypt`, and what the file system throws
 */
export async function decryptFile(
  keyring: Keyring,
  source: string,
  target: string,
  options: StreamOptions & FileOptions = {},
): Promise<void> {
  await reading(source, (file) => writeAtomically(target, options.mode ?? 0o600, keyring.decryptPieces(piecesOf(file), options)));
}

/** @param use gets the file's length if it is a regular one */
async function reading(path: string, use: (file: FileHandle, bytes: number | undefined) => Promise<void>): Promise<void> {
  const file = await open(path, "r");
  try {
    const status = await file.stat();
    await use(file, status.isFile() && status.size > 0 ? status.size : undefined); // files of /proc say 0
  } finally {
    await file.close();
  }
}

/** One piece is read while the one before is worked on, each into a buffer of its own. */
async function* piecesOf(file: FileHandle): AsyncGenerator<Uint8Array, void, undefined> {
  const read = (buffer: Uint8Array): Promise<Uint8Array> =>
    file.read(buffer, 0, buffer.length, null).then(({ bytesRead }) => buffer.subarray(0, bytesRead));
  let next = read(engine.allocate(READ_BYTES));
  let spare: Uint8Array = engine.allocate(READ_BYTES);
  try {
    for (;;) {
      const piece = await next;
      if (piece.length === 0) return;
      next = read(spare);
      yield piece;
      spare = new Uint8Array(piece.buffer);
    }
  } finally {
    await next.catch(() => undefined); // the file is closed after this
  }
}

async function writeAtomically(target: string, mode: number, batches: AsyncIterableIterator<Uint8Array>): Promise<void> {
  const temporary = `${target}.${toHex(engine.randomNonce(8))}.tmp`;
  const file = await open(temporary, "wx", mode);
  try {
    await writeAll(file, batches).finally(() => file.close());
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** One batch is written while the next is made. */
async function writeAll(file: FileHandle, batches: AsyncIterableIterator<Uint8Array>): Promise<void> {
  let writing: Promise<void> = Promise.resolve();
  try {
    for await (const batch of batches) {
      await writing;
      writing = writeBatch(file, batch);
      writing.catch(() => undefined); // awaited at the next turn
    }
    await writing;
    await file.datasync();
  } finally {
    await writing.catch(() => undefined); // the file is closed after this
  }
}

async function writeBatch(file: FileHandle, batch: Uint8Array): Promise<void> {
  for (let written = 0; written < batch.length; ) {
    const { bytesWritten } = await file.write(batch, written, batch.length - written, null);
    written += bytesWritten;
  }
}

const READ_BYTES = 1 << 20;
