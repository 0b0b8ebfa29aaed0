import type { Command } from "commander";
import { confirm } from "../confirm.ts";
import { usageError } from "../failure.ts";
import { STANDARD_STREAM } from "../input.ts";
import { addScopeOption, type ScopeOptions } from "../options.ts";
import { printLines } from "../output.ts";
import { terminalJson } from "../terminal-text.ts";
import { scopeLine } from "./describe.ts";
import { noSuchScope } from "./existing-scope.ts";
import { addKeysOptions, type KeysOptions, keyCount, withDataKeys } from "./job.ts";

interface ShredOptions extends KeysOptions, ScopeOptions {
  readonly dryRun?: boolean;
}

export function addKeysShred(group: Command): void {
  const command = group
    .command("shred")
    .summary("destroy the data keys of a scope, and with them all that they encrypted")
    .description(
      "Destroys the wrapped data keys of one scope for good: nothing that they encrypted can be read again. Asks for the scope to be " +
        "typed again, on standard input. Backups of the table have to be destroyed too.",
    );
  addKeysOptions(command, "of the application; nothing is unwrapped (repeatable)");
  addScopeOption(command);
  command.option("--dry-run", "change nothing; say how many keys would be destroyed");
  command.action(shred);
}

async function shred({ scope, json = false, dryRun = false, ...options }: ShredOptions): Promise<void> {
  const all = { ...options.keyContext, ...scope };
  if (Object.keys(all).length === 0)
    throw usageError("name the scope with --scope or --key-context", "the whole of it, as `keys list` shows it");
  const asked = dryRun ? [] : [STANDARD_STREAM];
  await withDataKeys(
    options,
    async (dataKeys, store) => {
      const keys = await dataKeys.list(scope);
      if (keys.length === 0) throw await noSuchScope(store, all, "");
      const live = keys.filter(({ state }) => state !== "shredded").length;
      const isDone = live === 0; // also after a run that was cut off: nothing is asked, and nothing fails
      const warning = `This destroys ${keyCount(live)} of ${scopeLine(all)} and all that they encrypted, for good.`;
      if (!dryRun && !isDone) await confirm({ warning, what: "scope", expected: scopeLine(all), hint: AGAIN });
      const shredded = dryRun || isDone ? 0 : await dataKeys.shred(scope);
      if (json) return await printLines(terminalJson({ scope: all, live, shredded }));
      if (isDone) return await printLines(`${scopeLine(all)} was shredded before: there is nothing left to destroy`);
      await printLines(dryRun ? `${keyCount(live)} would be destroyed` : `${keyCount(shredded)} destroyed`);
    },
    asked,
  );
}

const AGAIN = "run it again, and type the scope as `envelock keys list` shows it";
