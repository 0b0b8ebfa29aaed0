import { EnvelockError, type ErrorCode } from "./errors.ts";

export interface FileErrorOptions {
  /** The code for a path that names nothing. Defaults to `key-not-found`, for files that hold keys. */
  readonly missing?: ErrorCode;
  /** The next step where a file exists already. */
  readonly existsHint?: string;
}

/** Translates a failure of the file system for the caller that gave the path. An error of the library's own stays as it is. */
export function fileError(path: string, error: unknown, options: FileErrorOptions = {}): EnvelockError {
  if (error instanceof EnvelockError) return error;
  const { missing = "key-not-found", existsHint = "pass overwrite: true to replace it" } = options;
  const name = systemCodeOf(error) ?? "";
  if (name === "ENOENT") return new EnvelockError(missing, `no such file or folder: ${path}`, { cause: error, hint: MISSING_HINT });
  if (name === "EEXIST") return new EnvelockError("invalid-argument", `${path} exists already`, { cause: error, hint: existsHint });
  const [code, meaning, hint] = MEANINGS[name] ?? [
    "provider-failure",
    "could not be used",
    "the cause of this error has what the system said",
  ];
  return new EnvelockError(code, `${path} ${meaning}`, { cause: error, hint });
}

/** The system's name of an error, such as `ENOENT`. */
export function systemCodeOf(error: unknown): string | undefined {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : undefined;
}

const MISSING_HINT = "check the path: the file, or a folder on the way to it, is not there";
const OWNER_HINT = "check the owner and mode of the file and its folder, and which user runs this";
const ROOM_HINT = "make room, and run it again: nothing was replaced";
const OPEN_FILES_HINT = "close files that are not needed, or raise the limit of open files (ulimit -n)";

const MEANINGS: Readonly<Record<string, readonly [code: ErrorCode, meaning: string, hint: string]>> = {
  EACCES: ["access-denied", "may not be opened", OWNER_HINT],
  EPERM: ["access-denied", "may not be opened", OWNER_HINT],
  EROFS: ["access-denied", "may not be opened: the file system is read-only", "name a file on a file system that can be written"],
  EISDIR: ["invalid-argument", "is a folder", "name a file in it"],
  ENOTDIR: [
    "invalid-argument",
    "leads through a file that is no folder",
    "check the path: a part of it is a file, where a folder should be",
  ],
  ELOOP: ["invalid-argument", "leads through too many links", "name the file itself, not a link to it"],
  ENAMETOOLONG: ["invalid-argument", "has a name that is too long", "give a shorter name"],
  ENXIO: ["invalid-argument", "is a pipe or device without another end", "name a file, or start the other end first"],
  ENOSPC: ["unavailable", "does not fit: the disk is full", ROOM_HINT],
  EDQUOT: ["unavailable", "does not fit: the quota is used up", ROOM_HINT],
  EFBIG: [
    "unavailable",
    "is larger than the file system or the process allows",
    "write to another file system, or raise the limit (ulimit -f)",
  ],
  EMFILE: ["unavailable", "could not be opened: too many files are open", OPEN_FILES_HINT],
  ENFILE: ["unavailable", "could not be opened: too many files are open", OPEN_FILES_HINT],
  EBUSY: ["unavailable", "is in use", "end the program that uses it, or try again later"],
  EIO: ["unavailable", "could not be read or written: the device failed", "check the disk; a backup has the last good copy"],
};
