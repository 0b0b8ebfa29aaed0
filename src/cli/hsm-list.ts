import type { Command } from "commander";
import {
  type Pkcs11KeyDescription,
  type Pkcs11TokenDescription,
  type Pkcs11TokenOptions,
  parsePkcs11Uri,
  pkcs11Tokens,
} from "../../providers/pkcs11/index.ts";
import { columns } from "./columns.ts";
import { addDebugOption, addJsonOption, type JsonOptions } from "./options.ts";
import { printLines } from "./output.ts";
import { addLoginOption, type LoginOptions, pkcs11Options, withToken } from "./pkcs11-uri.ts";
import { terminalJson, terminalText } from "./terminal-text.ts";

export function addHsmList(hsm: Command): void {
  const command = hsm
    .command("list")
    .summary("show tokens, or the keys on one")
    .description("Shows the tokens of a library. If the URI names one of them, shows the AES and RSA keys on it, after a login.")
    .argument("[uri]", "pkcs11: URI of a library or a token", "pkcs11:");
  addJsonOption(command);
  addLoginOption(command);
  addDebugOption(command);
  command.action(list);
}

async function list(uri: string, { json = false, ...login }: JsonOptions & LoginOptions): Promise<void> {
  const { token, serial } = parsePkcs11Uri(uri);
  if (token !== undefined || serial !== undefined) {
    const keys = await withToken(uri, login, (opened) => opened.keys());
    return await printLines(json ? terminalJson(keys) : keyTable(keys));
  }
  const tokens = await pkcs11Tokens(moduleOf(uri));
  await printLines(json ? terminalJson(tokens) : tokenTable(tokens));
}

function moduleOf(uri: string): Pick<Pkcs11TokenOptions, "module" | "libraryParameters"> {
  const { modulePath } = parsePkcs11Uri(uri);
  return { ...pkcs11Options(uri), ...(modulePath !== undefined && { module: modulePath }) };
}

function tokenTable(tokens: readonly Pkcs11TokenDescription[]): string {
  return columns([
    ["token", "serial", "manufacturer", "model", "PIN"],
    ...tokens.map(({ label, serial, manufacturer, model, isInitialised, needsLogin, pin }) => [
      isInitialised ? terminalText(label) : "(not initialised)",
      terminalText(serial),
      terminalText(manufacturer),
      terminalText(model),
      needsLogin ? pin : "not needed",
    ]),
  ]);
}

export function keyTable(keys: readonly Pkcs11KeyDescription[]): string {
  return columns([
    ["type", "may", "start", "leaves", "key id"],
    ...keys.map(({ kind, bits, uses, startDate = "", isExtractable, keyId }) => [
      `${kind}-${bits ?? "?"}`,
      uses.join(", "),
      startDate,
      isExtractable ? "wrapped" : "never",
      terminalText(keyId),
    ]),
  ]);
}
