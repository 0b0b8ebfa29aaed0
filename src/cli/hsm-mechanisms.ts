import type { Command } from "commander";
import { columns } from "./columns.ts";
import { addDebugOption, addJsonOption, type JsonOptions } from "./options.ts";
import { printLines } from "./output.ts";
import { addLoginOption, type LoginOptions, withToken } from "./pkcs11-uri.ts";
import { terminalJson } from "./terminal-text.ts";

export function addHsmMechanisms(hsm: Command): void {
  const command = hsm
    .command("mechanisms")
    .summary("show the mechanisms that a token lists")
    .description("Shows the mechanisms that a token lists, and which of them can wrap data keys. `hsm selftest` finds out which really do.")
    .argument("<uri>", "pkcs11: URI of a token");
  addJsonOption(command);
  addLoginOption(command);
  addDebugOption(command);
  command.action(mechanisms);
}

async function mechanisms(uri: string, { json = false, ...login }: JsonOptions & LoginOptions): Promise<void> {
  const found = await withToken(uri, login, (token) => token.mechanisms());
  if (json) return await printLines(terminalJson(found));
  const rows = found.map(({ number, name = "", uses, wrapping = "" }) => [
    `0x${number.toString(16).padStart(4, "0")}`,
    name,
    uses.join(", "),
    wrapping,
  ]);
  await printLines(columns([["number", "name", "for", "wraps data keys as"], ...rows]));
}
