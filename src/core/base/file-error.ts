import { EnvelockError } from "./errors.ts";

/** What a failure of the file system means to whoever gave the path. An error of the library's own stays as it is. */
export function fileError(path: string, error: unknown): EnvelockError {
  if (error instanceof EnvelockError) return error;
  switch (systemCodeOf(error)) {
    case "ENOENT":
      return new EnvelockError("key-not-found", `no such file or folder: ${path}`, { cause: error });
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return new EnvelockError("access-denied", `${path} may not be opened`, { cause: error });
    case "EEXIST":
      return new EnvelockError("invalid-argument", `${path} exists already`, { cause: error, hint: "pass overwrite: true to replace it" });
    default:
      return new EnvelockError("provider-failure", `${path} could not be used`, { cause: error });
  }
}

/** The system's name of an error, such as `ENOENT`. */
export function systemCodeOf(error: unknown): string | undefined {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : undefined;
}
