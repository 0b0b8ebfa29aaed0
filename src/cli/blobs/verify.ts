import type { Command } from "commander";
import { byteCount } from "../columns.ts";
import { tellFailure } from "../failure.ts";
import { inOrder } from "../in-order.ts";
import { addJsonOption, addParallelOption } from "../options.ts";
import { printLines } from "../output.ts";
import { terminalJson, terminalText } from "../terminal-text.ts";
import { addBlobKeyOptions, type BlobOptions, blobCounter, withBlobs } from "./blob-place.ts";

interface VerifyOptions extends BlobOptions {
  readonly all?: boolean;
  readonly parallel?: number;
  readonly json?: boolean;
}

export function addBlobsVerify(group: Command): void {
  const command = group
    .command("verify")
    .summary("open the ends of every blob, or all of it")
    .description(
      "Opens the header, the first and the last chunk of every blob, or everything with --all. Prints what each decrypts to, and reports " +
        "each that does not open.",
    );
  addBlobKeyOptions(command, "what the blobs are opened with (repeatable)");
  command.option("--all", "read and open every byte");
  addParallelOption(command);
  addJsonOption(command);
  command.action(verify);
}

async function verify(argument: string, { all = false, json = false, parallel = 4, ...options }: VerifyOptions): Promise<void> {
  await withBlobs(argument, options, async (store, page) => {
    const opened: { readonly name: string; readonly plaintextBytes: number }[] = [];
    if (!json) await printLines(all ? "name  opened" : "name  opened at its ends");
    const bar = blobCounter();
    let done = 0;
    try {
      for await (const settled of inOrder(store.list(page), parallel, ({ name }) => store.verify(name, all ? "all" : "ends"))) {
        const { name } = settled.item;
        bar.onProgress(++done);
        if ("result" in settled) {
          const { plaintextBytes } = settled.result;
          if (json) opened.push({ name, plaintextBytes });
          else {
            if (process.stdout.isTTY) bar.end();
            await printLines(`${terminalText(name)}  ${byteCount(plaintextBytes)}`); // at once: the last one says where a killed run goes on
          }
          continue;
        }
        process.exitCode = 1;
        bar.end();
        tellFailure(settled.error, options.debug === true, terminalText(name));
      }
    } finally {
      bar.end();
    }
    if (json) await printLines(terminalJson(opened));
  });
}
