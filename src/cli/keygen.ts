import { randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import { type Command, Option } from "commander";
import { hybridKeys } from "../../providers/local/hybrid.ts";
import {
  formatKeyset,
  generateKeysetKey,
  type Keyset,
  type KeysetKey,
  type KeysetKeyType,
  publicKeyset,
} from "../../providers/local/index.ts";
import { readKeysetFile, updateKeysetFile, writeKeysetFile } from "../../providers/local/keyset-file.ts";
import { toHex, utf8 } from "../core/base/bytes.ts";
import { invalidArgument } from "../core/base/errors.ts";
import { columns } from "./columns.ts";
import { usageError } from "./failure.ts";
import { addDebugOption, addOutputOptions, type OutputOptions } from "./options.ts";
import { openOutput, printLines } from "./output.ts";
import { terminalText } from "./terminal-text.ts";

interface KeygenOptions extends OutputOptions {
  readonly type?: KeysetKeyType;
  readonly keyId?: string;
  readonly add?: boolean;
  readonly setPrimary?: boolean;
  readonly public?: boolean;
}

export function addKeygen(program: Command): void {
  const command = program
    .command("keygen")
    .summary("make or change a keyset file")
    .description(
      "Makes a keyset file with one new key, readable by its owner alone. An existing keyset is never replaced, since that would lose " +
        "what its keys encrypted: --add and --set-primary change it.",
    )
    .argument("<keyset>", "the keyset file")
    .addOption(new Option("-t, --type <type>", "of the new key (default: aes-256, or that of the primary key)").choices(KEY_TYPES))
    .option("--key-id <id>", "name of the new key, or with --set-primary alone of the key that is there")
    .option("--add", "add a key version to the keyset; it only unwraps until it is made the primary")
    .option("--set-primary", "with --add make the new version the one that wraps, else the one that --key-id names")
    .addOption(
      new Option("--public", "write the public half of the keyset, which can only wrap").conflicts(["add", "setPrimary", "type", "keyId"]),
    );
  addOutputOptions(command);
  addDebugOption(command);
  command.addHelpText(
    "after",
    `
Examples:
  envelock keygen keys.json
  envelock keygen keys.json --add
  envelock keygen keys.json --set-primary --key-id aes-256-2026-11-21-5f0c9a1e77d2
  envelock keygen team.json --type x25519
  envelock keygen team.json --public --out team.pub.json`,
  );
  command.action(keygen);
}

async function keygen(file: string, options: KeygenOptions): Promise<void> {
  checkOptions(options);
  if (options.public === true) return await writePublicHalf(file, options);
  if (options.add === true) return await change(file, (keyset) => withNewKey(keyset, options));
  if (options.setPrimary === true) return await change(file, (keyset) => withPrimary(keyset, options.keyId ?? ""));
  await create(file, options);
}

function checkOptions({ add, setPrimary, keyId, type, public: isPublic, out, force }: KeygenOptions): void {
  if (isPublic !== true && (out !== undefined || force === true))
    throw usageError("--out and --force go with --public alone", "name the keyset as the argument: envelock keygen keys.json");
  if (setPrimary === true && add !== true && (keyId === undefined || type !== undefined)) {
    throw usageError(
      "--set-primary goes with --add, or with --key-id alone",
      'give --key-id <kid>, one of the members "kid" of the keyset file',
    );
  }
}

async function create(file: string, options: KeygenOptions): Promise<void> {
  const found = statSync(file, { throwIfNoEntry: false });
  if (found?.isDirectory() === true) throw invalidArgument(`${file} is a folder`, "name a file in it");
  if (found !== undefined) throw invalidArgument(`${file} exists`, "--add adds a key version to it; a keyset is never replaced");
  const key = await newKey(options, "aes-256");
  const keyset = { primary: key.keyId, keys: [key] };
  await writeKeysetFile(file, keyset);
  await printKeyset(keyset);
}

async function change(file: string, changed: (keyset: Keyset) => Keyset | Promise<Keyset>): Promise<void> {
  await printKeyset(await updateKeysetFile(file, changed));
}

async function withNewKey(keyset: Keyset, options: KeygenOptions): Promise<Keyset> {
  const primaryType = keyset.keys.find(({ keyId }) => keyId === keyset.primary)?.type ?? "aes-256";
  const key = await newKey(options, primaryType);
  return { primary: options.setPrimary === true ? key.keyId : keyset.primary, keys: [...keyset.keys, key] };
}

function withPrimary(keyset: Keyset, keyId: string): Keyset {
  if (keyset.keys.some((key) => key.keyId === keyId)) return { ...keyset, primary: keyId };
  throw invalidArgument(`the keyset has no key "${keyId}"`);
}

async function newKey({ type, keyId }: KeygenOptions, defaultType: KeysetKeyType): Promise<KeysetKey> {
  const chosen = type ?? defaultType;
  const created = new Date().toISOString();
  return await generateKeysetKey({ type: chosen, keyId: keyId ?? freshKeyId(chosen, created), created, hybrid: hybridKeys });
}

/** Absolute, as key ids must be: no other key anywhere is called the same. */
function freshKeyId(type: KeysetKeyType, created: string): string {
  return `${type}-${created.slice(0, 10)}-${toHex(randomBytes(6))}`;
}

async function writePublicHalf(file: string, options: OutputOptions): Promise<void> {
  const write = openOutput({ out: "-", ...options }, PUBLIC_MODE);
  await write([utf8(formatKeyset(publicKeyset(await readKeysetFile(file))))]);
}

async function printKeyset({ primary, keys }: Keyset): Promise<void> {
  const rows = keys.map(({ keyId, type, created }) => [keyId === primary ? "primary" : "unwraps", type, created, terminalText(keyId)]);
  await printLines(columns([["use", "type", "created", "key id"], ...rows]));
}

const KEY_TYPES: readonly KeysetKeyType[] = ["aes-256", "x25519", "mlkem768-x25519"];
// not for the group to change: it decides who can read what is encrypted
const PUBLIC_MODE = 0o644;
