import { constants } from "node:fs";
import { type FileHandle, lstat, open } from "node:fs/promises";
import { engine } from "#engine";
import type { OwnedBytes } from "../core/base/bytes.ts";
import { copiedContext } from "../core/base/context.ts";
import { writeDurably } from "../core/base/durable-file.ts";
import { type EnvelockError, invalidArgument } from "../core/base/errors.ts";
import { fileError, systemCodeOf } from "../core/base/file-error.ts";
import { type OptionNames, refuseUnknown } from "../core/base/options.ts";
import { type Keyring, requireKeyring, streamsOf } from "../core/keyring/keyring.ts";
import { decryptPieces } from "../core/stream/decrypted-pieces.ts";
import { EncryptedPieces } from "../core/stream/encrypted-pieces.ts";
import { KeptOutputs } from "../core/stream/kept-outputs.ts";
import { ENCRYPT_STREAM_OPTIONS, type EncryptStreamOptions, STREAM_OPTIONS, type StreamOptions } from "../core/stream/options.ts";
import type { Outputs } from "../core/stream/outputs.ts";

export interface FileOptions {
  /** Whether an existing file at the target is replaced. Defaults to false. A link itself is replaced, never the file that it leads to. */
  readonly force?: boolean;
  /** The mode of the new file, less the umask. Defaults to 0o666 for envelopes and to 0o600 for plaintext. */
  readonly mode?: number;
}

/**
 * Encrypts a file to another, in bounded memory. The target appears under its name only once all of it is written and synced. If
 * anything fails, the target is as it was before and nothing else stays behind.
 *
 * @param source the path of a regular file; for pipes and devices there is `encryptDuplex`
 * @param options read before anything is done; may be changed as soon as the call has returned
 * @throws as `Keyring.encrypt`; `invalid-argument` for what is no keyring of this copy of the package, if the source is missing or no
 *   regular file, if the target exists without `force`, or if it is a folder, a pipe or a device; `access-denied` and `unavailable` for what the file system refuses. Its own error is the cause.
 * @example
 * await encryptFile(keyring, "report.pdf", "report.pdf.envelock", { context: { object: "reports/7" } });
 */
export async function encryptFile(
  keyring: Keyring,
  source: string,
  target: string,
  options: EncryptStreamOptions & FileOptions = {},
): Promise<void> {
  refuseUnknown(options, ENCRYPT_FILE_OPTIONS, "encryptFile");
  const own = requireKeyring(keyring, "keyring");
  const { force, mode, ...given } = frozen(options);
  const place = { target, force, mode: checkedMode(mode ?? ENVELOPE_MODE) };
  await fromTo(source, place, (pieces, bytes, outputs) => {
    const sized = { ...(bytes !== undefined && { plaintextBytes: bytes }), ...given };
    return new EncryptedPieces(pieces, streamsOf(own), sized, undefined, outputs);
  });
}

/**
 * Decrypts a file to another, in bounded memory. The target appears under its name only once all of it is verified, written and synced.
 * If anything fails, the target is as it was before and nothing else stays behind.
 *
 * @param source the path of a regular file; for pipes and devices there is `decryptDuplex`
 * @param options read when the function is called; later changes have no effect
 * @throws as `Keyring.decrypt`, and as `encryptFile` for what is wrong with the files
 * @example
 * await decryptFile(keyring, "report.pdf.envelock", "report.pdf", { context: { object: "reports/7" } });
 */
export async function decryptFile(
  keyring: Keyring,
  source: string,
  target: string,
  options: StreamOptions & FileOptions = {},
): Promise<void> {
  refuseUnknown(options, DECRYPT_FILE_OPTIONS, "decryptFile");
  const own = requireKeyring(keyring, "keyring");
  const { force, mode, ...given } = frozen(options);
  const place = { target, force, mode: checkedMode(mode ?? PLAINTEXT_MODE) };
  await fromTo(source, place, (pieces, _bytes, outputs) => decryptPieces(pieces, streamsOf(own), given, outputs));
}

interface Place {
  readonly target: string;
  readonly force: boolean | undefined;
  readonly mode: number;
}

type Work = (pieces: AsyncIterable<Uint8Array>, sourceBytes: number | undefined, outputs: Outputs) => AsyncIterable<OwnedBytes>;

async function fromTo(source: string, { target, force = false, mode }: Place, work: Work): Promise<void> {
  requirePath(source, "source");
  requirePath(target, "target");
  await reading(source, async (file, bytes) => {
    await requireReplaceable(target, force);
    const kept = new KeptOutputs(); // `writeDurably` has written a batch before it asks for the one after the next
    const output = new Noted(kept.passing(work(piecesOf(file, source), bytes, kept)));
    try {
      await writeDurably(target, output, { overwrite: force, mode });
    } catch (error) {
      throw output.failure?.reason === error ? error : targetError(target, error);
    }
  });
}

/** @param use gets the file's length, if the system tells it: files of /proc say 0 */
async function reading(path: string, use: (file: FileHandle, bytes: number | undefined) => Promise<void>): Promise<void> {
  // without O_NONBLOCK a pipe would block here before it can be refused
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)).catch((error: unknown) => {
    throw fileError(path, error, FAILURES);
  });
  try {
    const status = await file.stat();
    if (!status.isFile()) throw notRegular(path, status.isDirectory(), "for pipes and devices there are encryptDuplex and decryptDuplex");
    await use(file, status.size > 0 ? status.size : undefined);
  } finally {
    await file.close();
  }
}

/** Refuses a target before any work is done for it. A file that is put there later is refused when the new file gets its name. */
async function requireReplaceable(target: string, force: boolean): Promise<void> {
  const status = await lstat(target).catch((error: unknown) => {
    if (systemCodeOf(error) === "ENOENT") return undefined;
    throw fileError(target, error, FAILURES);
  });
  if (status === undefined) return;
  if (!status.isFile() && !status.isSymbolicLink()) throw notRegular(target, status.isDirectory(), "name a file that is to be written");
  if (!force) throw invalidArgument(`${target} exists already`, FAILURES.existsHint);
}

function targetError(target: string, error: unknown): EnvelockError {
  return fileError(target, error, FAILURES);
}

function notRegular(path: string, isFolder: boolean, hint: string): EnvelockError {
  return invalidArgument(`${path} is ${isFolder ? "a folder" : "no regular file"}`, hint);
}

/** Writes output, and tells its own failures from those of the target file. */
class Noted implements AsyncIterable<Uint8Array> {
  readonly #output: AsyncIterable<Uint8Array>;
  failure: { readonly reason: unknown } | undefined;

  constructor(output: AsyncIterable<Uint8Array>) {
    this.#output = output;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      yield* this.#output;
    } catch (reason) {
      this.failure = { reason };
      throw reason;
    }
  }
}

/** Reads one piece while the one before is worked on, each into a buffer of its own. */
async function* piecesOf(file: FileHandle, path: string): AsyncGenerator<Uint8Array, void, undefined> {
  const read = (buffer: Uint8Array): Promise<Uint8Array> =>
    file.read(buffer, 0, buffer.length, null).then(
      ({ bytesRead }) => buffer.subarray(0, bytesRead),
      (error: unknown) => {
        throw fileError(path, error, FAILURES);
      },
    );
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

/** Copies the options as they are now, because they are used after the files were opened. */
function frozen<T extends StreamOptions>(options: T): T {
  const { context } = options;
  return context === undefined ? { ...options } : { ...options, context: copiedContext(context) };
}

function requirePath(path: unknown, what: string): void {
  if (typeof path !== "string" || path === "" || path.includes("\0")) throw invalidArgument(`${what} must be the path of a file`);
}

function checkedMode(mode: number): number {
  if (Number.isInteger(mode) && mode >= 0 && mode <= 0o777) return mode;
  throw invalidArgument(`mode is ${mode}, expected permissions from 0 to 0o777`);
}

const FILE_OPTIONS: OptionNames<FileOptions> = { force: true, mode: true };
const ENCRYPT_FILE_OPTIONS: OptionNames<EncryptStreamOptions & FileOptions> = { ...ENCRYPT_STREAM_OPTIONS, ...FILE_OPTIONS };
const DECRYPT_FILE_OPTIONS: OptionNames<StreamOptions & FileOptions> = { ...STREAM_OPTIONS, ...FILE_OPTIONS };
const FAILURES = { missing: "invalid-argument", existsHint: "pass force: true to replace it" } as const;
const ENVELOPE_MODE = 0o666;
const PLAINTEXT_MODE = 0o600;
const READ_BYTES = 1 << 20;
