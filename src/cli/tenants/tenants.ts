import type { Command } from "commander";
import { addTenantChanges } from "./changes.ts";
import { addTenantHealth } from "./health.ts";
import { addTenantInvite } from "./invite.ts";
import { addTenantsList } from "./list.ts";
import { addTenantMove } from "./move.ts";
import { addTenantSetPolicy } from "./set-policy.ts";
import { addTenantShow } from "./show.ts";
import { addTenantShred } from "./shred.ts";
import { addTenantStage } from "./stage.ts";
import { addTenantVerify } from "./verify.ts";

export function addTenants(program: Command): void {
  const group = program
    .command("tenants")
    .summary("look after tenants that bring their own keys")
    .description("Invites tenants, checks and moves their keys, stops them and ends them, in the application's own store of tenants.");
  const before = [addTenantsList, addTenantShow, addTenantInvite, addTenantStage, addTenantVerify, addTenantMove];
  for (const addVerb of [...before, addTenantChanges, addTenantSetPolicy, addTenantShred, addTenantHealth]) addVerb(group);
  group.addHelpText(
    "after",
    `
Examples:
  envelock tenants list --store postgres://app@db.example/app
  envelock tenants invite acme --store postgres://app@db.example/app --identity roleArn=arn:aws:iam::444455556666:role/envelock
  envelock tenants stage acme aws-kms arn:aws:kms:… --store postgres://app@db.example/app --openers openers.json
  envelock tenants verify acme --store postgres://app@db.example/app --openers openers.json
  envelock tenants activate acme --store postgres://app@db.example/app
  envelock tenants move acme --store postgres://app@db.example/app --openers openers.json --platform keys.json
  envelock tenants set-policy acme cacheMaxAgeMs=60000 autoRestore=true --store postgres://app@db.example/app
  envelock tenants suspend acme --store postgres://app@db.example/app --reason "invoice 7"
  envelock tenants health --count-records --store postgres://app@db.example/app`,
  );
}
