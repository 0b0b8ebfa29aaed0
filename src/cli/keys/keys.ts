import type { Command } from "commander";
import { addKeysList } from "./list.ts";
import { addKeysProve } from "./prove.ts";
import { addKeysRewrap } from "./rewrap.ts";
import { addKeysRotate } from "./rotate.ts";
import { addKeysShred } from "./shred.ts";
import { addKeysVerify } from "./verify.ts";

export function addKeys(program: Command): void {
  const group = program
    .command("keys")
    .summary("look after the data keys that an application stores")
    .description("Lists, rotates, rewraps, verifies, proves and shreds the wrapped data keys in an application's own database.");
  for (const addVerb of [addKeysList, addKeysRotate, addKeysRewrap, addKeysVerify, addKeysProve, addKeysShred]) addVerb(group);
  group.addHelpText(
    "after",
    `
Examples:
  envelock keys list --store postgres://app@db.example/app
  envelock keys rotate --store postgres://app@db.example/app --key keys.json --scope tenant=acme
  envelock keys rewrap --store postgres://app@db.example/app --key keys.json --dry-run
  envelock keys verify --store postgres://app@db.example/app --key keys.json
  envelock keys prove --store postgres://app@db.example/app --key keys.json
  envelock keys shred --store postgres://app@db.example/app --key keys.json --scope tenant=acme`,
  );
}
