import { createInterface } from "node:readline/promises";
import { invalidArgument } from "../core/base/errors.ts";

/** What a person has to type again before something is destroyed. */
export interface Confirmation {
  /** What is about to happen, as a sentence. */
  readonly warning: string;
  /** The kind of text, such as `scope`. */
  readonly what: string;
  readonly expected: string;
  readonly hint: string;
}

/** Reads one line of standard input. @throws `invalid-argument` for any other line than the expected one */
export async function confirm({ warning, what, expected, hint }: Confirmation): Promise<void> {
  const prompt = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
  process.stderr.write(`${warning}\nType the ${what} again to go on: `);
  try {
    for await (const line of prompt) {
      if (line === expected) return;
      throw invalidArgument(`that is not the ${what}: nothing was destroyed`, hint);
    }
    process.stderr.write("\n");
    throw invalidArgument(`the ${what} was not typed again: nothing was destroyed`, hint);
  } finally {
    prompt.close();
    process.stdin.destroy(); // a pipe that stays open would keep the process alive
  }
}
