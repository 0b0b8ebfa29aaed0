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
  if (name === "ENOENT") return new EnvelockError(missing, `no such file or folder: ${path}`, { cause: error });
  if (name === "EEXIST") return new EnvelockError("invalid-argument", `${path} exists already`, { cause: error, hint: existsHint });
  const [code, meaning] = MEANINGS[name] ?? ["provider-failure", "could not be used"];
  return new EnvelockError(code, `${path} ${meaning}`, { cause: error });
}

/** The system's name of an error, such as `ENOENT`. */
export function systemCodeOf(error: unknown): string | undefined {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : undefined;
}

const MEANINGS: Readonly<Record<string, readonly [code: ErrorCode, meaning: string]>> = {
  EACCES: ["access-denied", "may not be opened"],
  EPERM: ["access-denied", "may not be opened"],
  EROFS: ["access-denied", "may not be opened: the file system is read-only"],
  EISDIR: ["invalid-argument", "is a folder"],
  ENOTDIR: ["invalid-argument", "leads through a file that is no folder"],
  ELOOP: ["invalid-argument", "leads through too many links"],
  ENAMETOOLONG: ["invalid-argument", "has a name that is too long"],
  ENXIO: ["invalid-argument", "is a pipe or device without another end"],
  ENOSPC: ["unavailable", "does not fit: the disk is full"],
  EDQUOT: ["unavailable", "does not fit: the quota is used up"],
  EFBIG: ["unavailable", "is larger than the file system or the process allows"],
  EMFILE: ["unavailable", "could not be opened: too many files are open"],
  ENFILE: ["unavailable", "could not be opened: too many files are open"],
  EBUSY: ["unavailable", "is in use"],
  EIO: ["unavailable", "could not be read or written: the device failed"],
};
