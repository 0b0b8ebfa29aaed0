import type { Command } from "commander";
import { columns } from "../columns.ts";
import { addRecipientOption, addScopeOption, type ScopeOptions } from "../options.ts";
import { printLines } from "../output.ts";
import { terminalJson } from "../terminal-text.ts";
import { scopeLine } from "./describe.ts";
import { addKeysOptions, type KeysOptions, withDataKeys } from "./job.ts";

export function addKeysRotate(group: Command): void {
  const command = group
    .command("rotate")
    .summary("add a data key to a scope, for what is written from now on")
    .description(
      "Adds a data key to a scope and retires the ones before it, which go on decrypting. Applications encrypt with it once they had " +
        "time to load it (announceMs). What is encrypted already stays under the old keys until it is re-encrypted.",
    );
  addKeysOptions(command, "the first wraps the new data key, with its primary key (repeatable)");
  addRecipientOption(command);
  addScopeOption(command);
  command.action(rotate);
}

async function rotate({ scope, json = false, ...options }: KeysOptions & ScopeOptions): Promise<void> {
  const { version, kid, state } = await withDataKeys(options, (dataKeys) => dataKeys.rotate(scope));
  const all = { ...options.keyContext, ...scope };
  if (json) return await printLines(terminalJson({ scope: all, version, kid, state }));
  await printLines(
    columns([
      ["scope", "version", "state", "kid"],
      [scopeLine(all), `${version}`, state, kid],
    ]),
  );
}
