import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { ReadStream } from "node:tty";
import { EnvelockError } from "../core/base/errors.ts";
import { withoutMark } from "../core/base/text-mark.ts";
import { systemError, usageError } from "./failure.ts";

/**
 * Returns a function that gets a token's PIN: from `pin-source`, else from the environment, else from the terminal.
 *
 * @param token its name, for the question
 * @param pinSource of a `pkcs11:` URI: `file:/path` or `/path`, RFC 7512 §2.4
 */
export function pinOf(token: string, pinSource: string | undefined): () => Promise<string> {
  return async () => {
    if (pinSource !== undefined) return readPinFile(pinSource);
    const { ENVELOCK_PKCS11_PIN } = process.env;
    if (ENVELOCK_PKCS11_PIN !== undefined) return ENVELOCK_PKCS11_PIN;
    const typed = await askSecret(`PIN of the token ${token}: `);
    if (typed !== undefined) return typed;
    throw new EnvelockError("access-denied", `the token ${token} needs a PIN, and there is no terminal to ask at`, {
      hint: "set ENVELOCK_PKCS11_PIN, or name a file with pin-source=file:/path in the URI",
    });
  };
}

function readPinFile(pinSource: string): string {
  const [, path] = PIN_FILE.exec(pinSource) ?? [];
  if (path === undefined) throw usageError("a pin-source is the absolute path of a file", "pin-source=file:/run/secrets/pin");
  const text = withoutMark(readText(path)).replace(/\r?\n$/, "");
  if (NOT_UTF8.test(text))
    throw usageError(`${path} holds no text in UTF-8`, "save the PIN as UTF-8: a token locks itself after wrong PINs");
  return text;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw systemError(`cannot read the PIN in ${path}`, cause);
  }
}

/** Reads a line at the terminal without showing it; undefined if there is no terminal. Standard input stays free for the data. */
async function askSecret(question: string): Promise<string | undefined> {
  const terminal = openTerminal();
  if (terminal === undefined) return undefined;
  const output = openSync(TERMINAL, "w");
  terminal.setRawMode(true);
  try {
    writeSync(output, question);
    return await readLine(terminal);
  } finally {
    terminal.setRawMode(false);
    terminal.destroy();
    writeSync(output, "\n");
    closeSync(output);
  }
}

function openTerminal(): ReadStream | undefined {
  try {
    return new ReadStream(openSync(TERMINAL, "r"));
  } catch {
    return undefined;
  }
}

async function readLine(terminal: ReadStream): Promise<string> {
  terminal.setEncoding("utf8");
  const typed: string[] = [];
  for await (const chunk of terminal) {
    for (const character of String(chunk)) {
      if (character === "\r" || character === "\n") return typed.join("");
      if (character === INTERRUPT || character === END) throw new EnvelockError("access-denied", "no PIN was given");
      if (BACKSPACES.has(character)) typed.pop();
      else typed.push(character);
    }
  }
  throw new EnvelockError("access-denied", "no PIN was given");
}

const TERMINAL = "/dev/tty";
/** What UTF-16 leaves where it is read as UTF-8. */
const NOT_UTF8 = /[\0\ufffd]/;
const PIN_FILE = /^(?:file:(?:\/\/)?)?(\/[^/].*)$/;
const INTERRUPT = "\x03";
const END = "\x04";
const BACKSPACES: ReadonlySet<string> = new Set(["\x7f", "\b"]);
