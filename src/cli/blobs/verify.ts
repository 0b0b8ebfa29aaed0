import type { Command } from "commander";
import { EnvelockError } from "../../core/base/errors.ts";
import { byteCount, columns } from "../columns.ts";
import { tellFailure } from "../failure.ts";
import { printLines } from "../output.ts";
import { terminalText } from "../terminal-text.ts";
import { addBlobKeyOptions, addPlaceOptions, type BlobOptions, pageOf, withBlobs } from "./blob-place.ts";

interface VerifyOptions extends BlobOptions {
  readonly all?: boolean;
}

export function addBlobsVerify(group: Command): void {
  const command = group
    .command("verify")
    .summary("open the ends of every blob, or all of it")
    .description(
      "Opens the header, the first and the last chunk of every blob, or everything with --all. Prints what each decrypts to, and reports " +
        "each that does not open.",
    );
  addPlaceOptions(command);
  addBlobKeyOptions(command, "what the blobs are opened with (repeatable)");
  command.option("--all", "read and open every byte");
  command.action(verify);
}

async function verify(argument: string, { all = false, ...options }: VerifyOptions): Promise<void> {
  await withBlobs(argument, options, async (store) => {
    const rows: string[][] = [];
    for await (const { name } of store.list(pageOf(options))) {
      try {
        const { plaintextBytes } = await store.verify(name, all ? "all" : "ends");
        rows.push([terminalText(name), byteCount(plaintextBytes)]);
      } catch (error) {
        if (!EnvelockError.is(error)) throw error;
        process.exitCode = 1;
        tellFailure(error, options.debug === true, terminalText(name));
      }
    }
    await printLines(columns([["name", all ? "opened" : "opened at its ends"], ...rows]));
  });
}
