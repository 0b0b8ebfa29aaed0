import { readdirSync } from "node:fs";
import { basename, dirname, join, parse } from "node:path";
import { getSystemErrorMap } from "node:util";
import { CommanderError } from "commander";
import { EnvelockError, type ErrorCode } from "../core/base/errors.ts";
import { closest } from "../core/base/options.ts";
import { commandHint } from "./hints.ts";
import { terminalText } from "./terminal-text.ts";

/** The command line itself is wrong: nothing was written. Ends with exit code 2. */
export function usageError(message: string, hint?: string): EnvelockError {
  return new EnvelockError("invalid-argument", message, { detail: USAGE, ...(hint !== undefined && { hint }) });
}

/** The program that reads standard output has ended, as `head` does. Nothing is said of it; the command ends with exit code 141. */
export function readerGone(cause: unknown): EnvelockError {
  return new EnvelockError("unavailable", "nothing reads standard output any more", { detail: READER_GONE, cause });
}

export function isReaderGone(error: unknown): boolean {
  return error instanceof EnvelockError && error.detail === READER_GONE;
}

/**
 * A system call failed.
 *
 * @param doing what was done and with what, such as `cannot read report.pdf`
 * @param path of a file that an argument names: if it is not there, a name like it is looked for
 * @param like what the name could stand for
 */
export function systemError(doing: string, cause: unknown, path?: string, like?: Likeness): EnvelockError {
  if (cause instanceof EnvelockError) return cause;
  const [name, meaning] = systemErrorOf(cause);
  const hint = name === "ENOENT" && path !== undefined ? hintForMissing(path, like) : HINT_BY_SYSTEM_ERROR[name];
  return new EnvelockError(CODE_BY_SYSTEM_ERROR[name] ?? "unavailable", `${doing}: ${meaning}`, {
    cause,
    ...(hint !== undefined && { hint }),
  });
}

/** The system's name of an error, such as `ENOENT`, and what that means. */
export function systemErrorOf(error: unknown): readonly [name: string, meaning: string] {
  const errno = error instanceof Error && "errno" in error ? error.errno : undefined;
  const known = typeof errno === "number" ? getSystemErrorMap().get(errno) : undefined;
  return known ?? ["", error instanceof Error ? error.message : "unknown error"];
}

/** What a name that is not there could stand for. */
export interface Likeness {
  /** Folders too. Files alone otherwise. */
  readonly folders?: boolean;
  /** Whether a file could be meant, beyond its name. */
  readonly fits?: (path: string) => boolean;
}

/** The next step for a path that names nothing: a file with a name like it, if its folder has one. */
export function hintForMissing(path: string, { folders = false, fits }: Likeness = {}): string {
  if (path === "") return "the name is empty: check the variable that it comes from";
  const folder = dirname(path);
  try {
    const entries = readdirSync(folder, { withFileTypes: true }).filter((entry) => folders || !entry.isDirectory());
    if (entries.some((entry) => entry.name === basename(path) && entry.isSymbolicLink()))
      return `${path} is a link to what is not there: check where it leads`;
    const names = entries.map(({ name }) => name).filter((name) => fits === undefined || fits(join(folder, name)));
    const meant = likeName(basename(path), names);
    return meant === undefined ? `check the path: the folder ${folder} has no such file` : `did you mean ${meant}?`;
  } catch {
    return `check the path: there is no folder ${folder}`;
  }
}

/** Compares the stem and the ending of each name: most names of a folder share an ending, which would make all of them alike. */
function likeName(name: string, names: readonly string[]): string | undefined {
  const longer = names.filter((candidate) => candidate.startsWith(`${name}.`));
  if (longer.length === 1) return longer[0];
  const { name: stem, ext } = parse(name);
  const alike = names.filter((candidate) => {
    const other = parse(candidate).ext;
    return ext === "" || other === "" || closest(ext, [other]) !== undefined;
  });
  const byStem = new Map(alike.map((candidate) => [parse(candidate).name, candidate]));
  return byStem.get(closest(stem, [...byStem.keys()]) ?? "");
}

/**
 * Writes an error to standard error: `envelock: <code>: <message>`, then `hint: …` unless the same hint has been given already. The
 * stack and the causes only on demand.
 */
export function tellFailure(error: unknown, isDebug: boolean, file?: string): void {
  if (isReaderGone(error)) return;
  const text = failureText(error, isDebug, file, toldHints);
  const { hint } = describe(error);
  if (hint !== undefined) toldHints.add(hint);
  process.stderr.write(text);
}

/** What `tellFailure` writes. @param told hints that are left out */
export function failureText(error: unknown, isDebug: boolean, file?: string, told: ReadonlySet<string> = new Set()): string {
  const { code, message, hint } = describe(error);
  // a message about a file mostly names it already
  const isNamed = file === undefined || message.includes(file);
  const lines = [isNamed ? `envelock: ${code}: ${message}` : `envelock: ${code}: ${file}: ${message}`];
  if (hint !== undefined && !told.has(hint)) lines.push(`hint: ${hint}`);
  if (isDebug) lines.push(...stackLines(error));
  return `${lines.map(terminalText).join("\n")}\n`;
}

/** 1 for a failure, 2 if the command line was wrong, 141 (128 and SIGPIPE) if the reader of standard output has gone. */
export function exitCodeOf(error: unknown): 1 | 2 | 141 {
  if (isReaderGone(error)) return 141;
  const isUsage = error instanceof CommanderError || (error instanceof EnvelockError && error.detail === USAGE);
  return isUsage ? 2 : 1;
}

interface Description {
  readonly code: string;
  readonly message: string;
  readonly hint: string | undefined;
}

/** What the hints name where they send the reader to the help of the command. */
export function nameCommand(path: string): void {
  commandPath = path;
}

function describe(error: unknown): Description {
  const { hint, ...description } = descriptionOf(error);
  return { ...description, hint: hint?.replaceAll(ANY_COMMAND, commandPath) };
}

function descriptionOf(error: unknown): Description {
  if (error instanceof EnvelockError) {
    const { code, message, hint, detail } = error;
    return {
      code,
      message,
      hint: detail === USAGE ? (hint ?? SEE_HELP) : commandHint({ code, message, ...(hint !== undefined && { hint }) }),
    };
  }
  if (error instanceof CommanderError) {
    // commander writes `error: message`, and what the user may have meant on a line of its own
    const [message = "", ...suggestions] = error.message.replace(/^error: /, "").split("\n");
    if (error.code === "commander.unknownCommand" && suggestions.length === 0) return { code: "invalid-argument", message, hint: VERBS };
    return { code: "invalid-argument", message, hint: suggestions[0]?.replace(/^\((.*)\)$/, "$1") ?? SEE_HELP };
  }
  return { code: "unexpected", message: error instanceof Error ? error.message : "unknown error", hint: "run again with --debug" };
}

function stackLines(error: unknown): readonly string[] {
  if (!(error instanceof Error)) return [];
  const own = (error.stack ?? "").split("\n");
  if (error instanceof AggregateError) return [...own, ...error.errors.flatMap(stackLines)];
  return error.cause === undefined ? own : [...own, "caused by:", ...stackLines(error.cause)];
}

const ANY_COMMAND = "envelock <command>";
const USAGE = "usage";
const READER_GONE = "reader-gone";
const VERBS = `${ANY_COMMAND} --help lists the verbs`;
const SEE_HELP = `see ${ANY_COMMAND} --help`;
let commandPath = ANY_COMMAND;
const toldHints = new Set<string>();

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

const HINT_BY_SYSTEM_ERROR: Readonly<Record<string, string>> = {
  ENOENT: "check the path: a folder in it is not there",
  ENOTDIR: "check the path: a part of it is a file, where a folder should be",
  EISDIR: "name a file; --recursive takes the files in a folder",
  EEXIST: "--force replaces it",
  ENAMETOOLONG: "give a shorter name",
  ELOOP: "name the file itself, not a link to it",
  EACCES: "`ls -l` shows its owner and mode; run the command as a user who may use it",
  EPERM: "`ls -l` shows its owner and mode; run the command as a user who may use it",
  EROFS: "write to another place with --out: this one is read-only",
  ENOSPC: "make room on the disk, and run it again: nothing was replaced",
  EDQUOT: "make room in your quota, and run it again: nothing was replaced",
  EMFILE: "raise the limit of open files (ulimit -n)",
};
