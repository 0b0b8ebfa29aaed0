import { type Command, Option } from "commander";
import type { Context } from "../../core/base/context.ts";
import type { TenantKeyDescription } from "../../tenants/index.ts";
import { usageError } from "../failure.ts";
import { collectPair } from "../options.ts";
import { printLines } from "../output.ts";
import { terminalJson } from "../terminal-text.ts";
import { keyLine } from "./describe.ts";
import {
  addReasonOption,
  addTenantKeysOptions,
  changeOf,
  type ReasonOptions,
  type TenantKeysOptions,
  withTenantKeys,
} from "./open-tenants.ts";

interface StageOptions extends TenantKeysOptions, ReasonOptions {
  readonly setting?: Context;
  readonly identity?: Context;
  readonly createdByUs?: boolean;
  readonly shareable?: boolean;
  readonly label?: string;
}

export function addTenantStage(group: Command): void {
  const command = group
    .command("stage")
    .argument("<id>", "of the tenant")
    .argument("<kind>", "azure-key-vault, aws-kms, gcp-kms, vault-transit, pkcs11, or platform for your own key")
    .argument("[key]", "its name in the service: a URL, an ARN, a label")
    .summary("describe the key that a tenant brings, or is to move to")
    .description("Checks the description against what you allow, and claims the key for this tenant. Calls no key.");
  addReasonOption(addTenantKeysOptions(command))
    .addOption(new Option("--setting <name=value>", "a setting of the key, such as keyType=rsa (repeatable)").argParser(collectPair))
    .addOption(new Option("--identity <name=value>", "replaces what you sign in with (repeatable)").argParser(collectPair))
    .option("--created-by-us", "you made this key for the tenant: it is destroyed with the tenant")
    .option("--shareable", "other tenants may use the same key")
    .option("--label <text>", "what people call the key: `show`, reports and events tell it");
  command.action(stage);
}

async function stage(id: string, kind: string, key: string | undefined, options: StageOptions): Promise<void> {
  const { identity, json = false } = options;
  const record = await withTenantKeys(options, (tenants) =>
    tenants.stage(id, described(kind, key, options), { ...changeOf(options), ...(identity !== undefined && { identity }) }),
  );
  await printLines(json ? terminalJson(record) : `staged: ${record.staged === null ? "nothing" : keyLine(record.staged)}`);
}

function described(kind: string, key: string | undefined, options: StageOptions): TenantKeyDescription | "platform" {
  if (kind === "platform") {
    if (key !== undefined) throw usageError("platform takes no name of a key", "its keys are those of --platform");
    if (options.label !== undefined) throw usageError("platform takes no --label", "a label names a key that a tenant brings");
    return "platform";
  }
  if (key === undefined) throw usageError("name the key after its kind", "such as aws-kms arn:aws:kms:…");
  const { setting: settings = {}, createdByUs = false, shareable = false, label } = options;
  return { kind, key, settings, createdByUs, shareable, ...(label !== undefined && { label }) };
}
