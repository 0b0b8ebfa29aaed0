import type { Command } from "commander";
import type { Pkcs11TestResult } from "../../providers/pkcs11/index.ts";
import { EnvelockError } from "../core/base/errors.ts";
import { columns } from "./columns.ts";
import { addDebugOption, addJsonOption, type JsonOptions } from "./options.ts";
import { printLines } from "./output.ts";
import { withToken } from "./pkcs11-uri.ts";
import { terminalJson, terminalText } from "./terminal-text.ts";

export function addHsmSelftest(hsm: Command): void {
  const command = hsm
    .command("selftest")
    .summary("find out what works on a token")
    .description(
      "Wraps and unwraps with each mechanism under keys that the token makes for it and forgets afterwards, and says which work and how " +
        "long they take. What to run first on a new HSM.",
    )
    .argument("<uri>", "pkcs11: URI of a token");
  addJsonOption(command);
  addDebugOption(command);
  command.action(selftest);
}

async function selftest(uri: string, { json = false }: JsonOptions): Promise<void> {
  const results = await withToken(uri, (token) => token.selfTest());
  await printLines(json ? terminalJson(results) : resultTable(results));
  if (results.every(({ failure }) => failure !== undefined)) {
    throw new EnvelockError("provider-failure", "no mechanism works on this token", {
      hint: "see what the token says to each of them, above",
    });
  }
}

function resultTable(results: readonly Pkcs11TestResult[]): string {
  const rows = results.map(({ mechanism, wrapMs, unwrapMs, failure }) => [
    mechanism,
    milliseconds(wrapMs),
    milliseconds(unwrapMs),
    failure === undefined ? "works" : terminalText(failure),
  ]);
  return columns([["mechanism", "wrap", "unwrap", "result"], ...rows]);
}

function milliseconds(ms: number | undefined): string {
  return ms === undefined ? "" : `${ms.toFixed(2)} ms`;
}
