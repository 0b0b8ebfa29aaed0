import { existsSync } from "node:fs";
import { type Command, Option } from "commander";
import { azureBlobs } from "../../blobs/azure/index.ts";
import { fileBlobs } from "../../blobs/files/index.ts";
import { type BlobStore, type EncryptedStore, encryptedStore } from "../../blobs/index.ts";
import { EnvelockError } from "../../core/base/errors.ts";
import { environmentVariable } from "../environment.ts";
import { hintForMissing, usageError } from "../failure.ts";
import { withKeyring } from "../open-key.ts";
import {
  addContextOption,
  addDebugOption,
  addKeyOptions,
  type ContextOptions,
  type KeyOptions,
  type RecipientOptions,
} from "../options.ts";

export interface BlobPlaceOptions {
  readonly prefix?: string;
  readonly after?: string;
  readonly endpoint?: string;
  readonly debug?: boolean;
}

export interface BlobOptions extends BlobPlaceOptions, KeyOptions, RecipientOptions, ContextOptions {
  readonly nameContext: string;
}

/** What every verb of blobs has. */
export function addPlaceOptions(command: Command): Command {
  command.argument("<store>", "az://<account>/<container> or dir:<folder>");
  command.option("--prefix <text>", "only blobs whose names begin so");
  command.option("--after <name>", "only blobs whose names come after this one: to go on where an earlier run ended");
  command.addOption(new Option("--endpoint <url>", "where the account is, if not at <account>.blob.core.windows.net"));
  return addDebugOption(command);
}

/** What the verbs have that need a key. */
export function addBlobKeyOptions(command: Command, meaningOfKey: string): Command {
  addKeyOptions(command, meaningOfKey);
  addContextOption(command);
  return command.addOption(new Option("--name-context <key>", "the key of the context that holds a blob's name").default("object"));
}

/**
 * The store that an argument names. A SAS comes from the environment, so that it stands in no list of processes.
 *
 * @throws `invalid-argument`, `key-not-found`
 */
export function openPlace(argument: string, { endpoint }: BlobPlaceOptions): BlobStore {
  const [, scheme = "", path = ""] = /^(az:\/\/|dir:)(.*)$/s.exec(argument) ?? [];
  if (scheme === "dir:") {
    if (endpoint !== undefined) throw usageError("--endpoint goes with az://");
    if (!existsSync(path)) throw new EnvelockError("key-not-found", `there is no folder ${path}`, { hint: hintForMissing(path) });
    return fileBlobs(path);
  }
  const [, account = "", container = ""] = /^([a-z0-9]{3,24})\/([a-z0-9-]{3,63})\/?$/.exec(path) ?? [];
  if (scheme !== "az://" || account === "") {
    throw usageError("the store is az://<account>/<container> or dir:<folder>", "a prefix of names goes into --prefix");
  }
  const sas = environmentVariable("AZURE_STORAGE_SAS_TOKEN");
  if (sas === undefined) {
    throw new EnvelockError("access-denied", "no SAS for the container is set", { hint: "put one into AZURE_STORAGE_SAS_TOKEN" });
  }
  const base = endpoint?.replace(/\/$/, "") ?? `https://${account}.blob.core.windows.net`;
  return azureBlobs({ url: `${base}/${container}`, sas });
}

/** Encrypted blobs in the store that the arguments name, for as long as `use` takes. */
export async function withBlobs<T>(argument: string, options: BlobOptions, use: (store: EncryptedStore) => Promise<T>): Promise<T> {
  const place = openPlace(argument, options);
  const { context = {}, nameContext } = options;
  return await withKeyring(options, [], (keyring) =>
    use(encryptedStore(keyring, place, { context: (name) => ({ ...context, [nameContext]: name }) })),
  );
}

export function pageOf({ prefix, after }: BlobPlaceOptions): { readonly prefix?: string; readonly after?: string } {
  return { ...(prefix !== undefined && { prefix }), ...(after !== undefined && { after }) };
}
