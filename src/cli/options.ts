import { type Command, Option } from "commander";
import type { Context } from "../core/base/context.ts";
import type { LaneCount } from "../core/stream/lanes/lanes.ts";
import { usageError } from "./failure.ts";

export interface KeyOptions extends AzureOptions {
  /** The first wraps, all of them unwrap. */
  readonly key: readonly [string, ...string[]];
  readonly keyContext?: Context;
  readonly debug?: boolean;
}

/** How keys in Azure are reached. */
export interface AzureOptions {
  readonly credential?: CredentialKind;
  readonly allowHost?: readonly string[];
  readonly tokenResource?: string;
  /** Whether a new version is current from its first moment, for verbs that only look. A verb that wraps waits until every replica has it. */
  readonly countsYoungVersions?: boolean;
}

export type CredentialKind = (typeof CREDENTIAL_KINDS)[number];

export interface RecipientOptions {
  /** What is wrapped for, beside the first of `key`. */
  readonly recipient?: readonly string[];
}

export interface ContextOptions {
  readonly context?: Context;
}

export interface ScopeOptions {
  readonly scope?: Context;
}

export interface LaneOptions {
  readonly lanes?: LaneCount;
}

export interface OutputOptions {
  readonly out?: string;
  readonly force?: boolean;
}

export interface JsonOptions {
  readonly json?: boolean;
}

export function addKeyOptions(command: Command, meaning: string, isMandatory = true): Command {
  return addAzureOptions(command)
    .addOption(new Option("-k, --key <key>", `${meaning}; ${KINDS_OF_KEY}`).argParser(collect).makeOptionMandatory(isMandatory))
    .addOption(
      new Option("--key-context <key=value>", "context of the data key: what every value of one keyring shares (repeatable)").argParser(
        collectPair,
      ),
    );
}

/** For verbs that reach stores in Azure and take no key. */
export function addCredentialOption(command: Command): Command {
  return command.addOption(new Option("--credential <kind>", "where tokens for Azure come from").choices(CREDENTIAL_KINDS));
}

export function addAzureOptions(command: Command): Command {
  return addCredentialOption(command)
    .addOption(new Option("--allow-host <host>", "a host of keys in Azure beside those of its clouds (repeatable)").argParser(collect))
    .addOption(new Option("--token-resource <url>", "what tokens for such a host are made out to"));
}

export function addRecipientOption(command: Command): Command {
  return command.addOption(
    new Option("-r, --recipient <key>", "also wrap for this key, named as for --key, which may be a public half (repeatable)").argParser(
      collect,
    ),
  );
}

export function addContextOption(command: Command): Command {
  return command.addOption(
    new Option("-c, --context <key=value>", "what the file belongs to; the same is needed to decrypt (repeatable)").argParser(collectPair),
  );
}

/** What the library takes of the options for one value. */
export function valueOptions({ context, lanes }: ContextOptions & LaneOptions): ContextOptions & LaneOptions {
  return { ...(context && { context }), ...(lanes !== undefined && { lanes }) };
}

export function addScopeOption(command: Command): Command {
  return command.addOption(
    new Option("--scope <key=value>", "a pair of the data key's scope, such as the tenant, beside --key-context (repeatable)").argParser(
      collectPair,
    ),
  );
}

export function addOutputOptions(command: Command): Command {
  return command.option("-o, --out <file>", "write here; - is standard output").option("-f, --force", "replace an existing file");
}

export function addLanesOption(command: Command): Command {
  return command.addOption(
    new Option("--lanes <count>", "threads that encrypt or decrypt: auto, or a number from 1 to 64").argParser(lanesOf),
  );
}

export function addParallelOption(command: Command): Command {
  return command.addOption(new Option("--parallel <count>", "how many of several are worked on at once").argParser(parallelOf).default(4));
}

export function addJsonOption(command: Command): Command {
  return command.option("--json", "as JSON");
}

export function addDebugOption(command: Command): Command {
  return command.option("--debug", "show stack and causes of an error");
}

function parallelOf(text: string): number {
  return wholeNumber("--parallel", text, { least: 1, most: MOST_PARALLEL, hint: "leave it out for 4" });
}

/** Reads decimal digits alone: `1e2` and `0x10` are slips more often than numbers. @throws `invalid-argument` outside of the limits */
export function wholeNumber(
  what: string,
  text: string,
  { least, most, hint }: { readonly least: number; readonly most: number; readonly hint?: string },
): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= least && count <= most) return count;
  throw usageError(`${what} is a number from ${least} to ${most}, not "${text}"`, hint);
}

function lanesOf(text: string): LaneCount {
  const hint = "leave --lanes out, or let it choose with --lanes auto";
  return text === "auto" ? text : wholeNumber("--lanes", text, { least: 1, most: MOST_LANES, hint });
}

/** For options that are given several times. */
export function collect(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value];
}

/** A key given twice is refused: whichever won, half of the readers would expect the other. */
export function collectPair(text: string, previous: Context = {}): Context {
  const at = text.indexOf("=");
  if (at < 1) throw usageError(`"${text}" is not key=value`, "such as object=reports/7; the value may be empty");
  const key = text.slice(0, at);
  if (Object.hasOwn(previous, key))
    throw usageError(`the key "${key}" is given twice`, "give each key once: no two values can both be right");
  return Object.fromEntries([...Object.entries(previous), [key, text.slice(at + 1)]]);
}

export function portOf(text: string): number {
  if (/^\d+$/.test(text) && Number(text) <= MAX_PORT) return Number(text);
  throw usageError(`port "${text}" is not a number from 0 to ${MAX_PORT}`, "leave --port out for any that is free");
}

/** What a key may be, in every help. */
export const KINDS_OF_KEY =
  "a keyset file, - for a keyset on standard input, env:NAME for one in a variable, azure:https://<vault>/keys/<name> (or /secrets/<name>), vault:https://<host>:8200/<mount>/<key>, aws-kms:<arn>, gcp-kms:projects/<project>/locations/<location>/keyRings/<ring>/cryptoKeys/<key>, or pkcs11:<uri>";
const CREDENTIAL_KINDS = ["default", "managed-identity", "workload", "cli", "env"] as const;
const MAX_PORT = 65_535;
const MOST_PARALLEL = 64;
const MOST_LANES = 64;
