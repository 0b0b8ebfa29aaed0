import type { Command } from "commander";
import { columns } from "../columns.ts";
import { addRecipientOption, addScopeOption, type ScopeOptions } from "../options.ts";
import { printLines } from "../output.ts";
import { terminalJson } from "../terminal-text.ts";
import { scopeLine } from "./describe.ts";
import { noSuchScope } from "./existing-scope.ts";
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
  command.option("--create", "make the scope, and the file of the store, if there is none; else a scope without data keys is refused");
  command.action(rotate);
}

async function rotate({ scope, json = false, ...options }: KeysOptions & ScopeOptions): Promise<void> {
  const all = { ...options.keyContext, ...scope };
  const { version, kid, state } = await withDataKeys(options, async (dataKeys, store) => {
    // a mistyped scope would get a first data key that nothing ever uses, while the one that was meant stays as it is
    if (options.create !== true && (await dataKeys.list(scope)).length === 0)
      throw await noSuchScope(store, all, "; --create makes a new one");
    return await dataKeys.rotate(scope);
  });
  if (json) return await printLines(terminalJson({ scope: all, version, kid, state }));
  await printLines(
    columns([
      ["scope", "version", "state", "kid"],
      [scopeLine(all), `${version}`, state, kid],
    ]),
  );
}
