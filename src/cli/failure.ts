import { getSystemErrorMap } from "node:util";
import { CommanderError } from "commander";
import { EnvelockError, type ErrorCode } from "../core/base/errors.ts";
import { terminalText } from "./terminal-text.ts";

/** The command line itself is wrong: nothing was written. Ends with exit code 2. */
export function usageError(message: string, hint?: string): EnvelockError {
  return new EnvelockError("invalid-argument", message, { detail: USAGE, ...(hint !== undefined && { hint }) });
}

/** A system call failed: `doing` says on what, such as `cannot read report.pdf`. */
export function systemError(doing: string, cause: unknown): EnvelockError {
  if (cause instanceof EnvelockError) return cause;
  const [name, meaning] = systemErrorOf(cause);
  return new EnvelockError(CODE_BY_SYSTEM_ERROR[name] ?? "unavailable", `${doing}: ${meaning}`, { cause });
}

/** The system's name of an error, such as `ENOENT`, and what that means. */
export function systemErrorOf(error: unknown): readonly [name: string, meaning: string] {
  const errno = error instanceof Error && "errno" in error ? error.errno : undefined;
  const known = typeof errno === "number" ? getSystemErrorMap().get(errno) : undefined;
  return known ?? ["", error instanceof Error ? error.message : "unknown error"];
}

/** What goes to stderr: `envelock: <code>: <message>`, then `hint: ...` if there is one; the stack and the causes only on demand. */
export function failureText(error: unknown, isDebug: boolean, file?: string): string {
  const { code, message, hint } = describe(error);
  const lines = [file === undefined ? `envelock: ${code}: ${message}` : `envelock: ${code}: ${file}: ${message}`];
  if (hint !== undefined) lines.push(`hint: ${hint}`);
  if (isDebug) lines.push(...stackLines(error));
  return `${lines.map(terminalText).join("\n")}\n`;
}

/** 1 for a failure, 2 if the command line was wrong. */
export function exitCodeOf(error: unknown): 1 | 2 {
  const isUsage = error instanceof CommanderError || (error instanceof EnvelockError && error.detail === USAGE);
  return isUsage ? 2 : 1;
}

interface Description {
  readonly code: string;
  readonly message: string;
  readonly hint: string | undefined;
}

function describe(error: unknown): Description {
  if (error instanceof EnvelockError) {
    return { code: error.code, message: error.message, hint: HINT_BY_CODE[error.code] ?? error.hint };
  }
  if (error instanceof CommanderError) {
    // commander writes `error: message`, and what the user may have meant on a line of its own
    const [message = "", ...suggestions] = error.message.replace(/^error: /, "").split("\n");
    return { code: "invalid-argument", message, hint: suggestions[0]?.replace(/^\((.*)\)$/, "$1") ?? "see envelock <command> --help" };
  }
  return { code: "unexpected", message: error instanceof Error ? error.message : "unknown error", hint: "run again with --debug" };
}

function stackLines(error: unknown): readonly string[] {
  if (!(error instanceof Error)) return [];
  const own = (error.stack ?? "").split("\n");
  if (error instanceof AggregateError) return [...own, ...error.errors.flatMap(stackLines)];
  return error.cause === undefined ? own : [...own, "caused by:", ...stackLines(error.cause)];
}

const USAGE = "usage";

const CODE_BY_SYSTEM_ERROR: Readonly<Record<string, ErrorCode>> = {
  ENOENT: "invalid-argument",
  ENOTDIR: "invalid-argument",
  EISDIR: "invalid-argument",
  EEXIST: "invalid-argument",
  ENAMETOOLONG: "invalid-argument",
  ELOOP: "invalid-argument",
  EACCES: "access-denied",
  EPERM: "access-denied",
  EROFS: "access-denied",
};

// What to do at a shell, where the library's own hints speak of its options.
const HINT_BY_CODE: Partial<Record<ErrorCode, string>> = {
  "authentication-failed": "give --context and --key-context exactly as at encryption; if they are right, the data was changed",
  "no-matching-provider": "`envelock inspect` shows which key ids can open it; name a keyset that holds one of them with --key",
  "unsupported-version": "a newer release of envelock may have written this",
};
