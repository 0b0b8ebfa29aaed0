import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { Argument, type Command } from "commander";
import { fileBlobs } from "../../blobs/files/index.ts";
import { type BlobStore, type EncryptedStore, encryptedStore } from "../../blobs/index.ts";
import { EnvelockError } from "../../core/base/errors.ts";
import { hintForMissing, usageError } from "../failure.ts";
import { withKeyring } from "../open-key.ts";
import {
  addContextOption,
  addCredentialOption,
  addDebugOption,
  addKeyOptions,
  type KeyOptions,
  type RecipientOptions,
} from "../options.ts";
import type { BlobContextOptions, StoreOptions } from "../places/store-kind.ts";
import {
  addNameContextOption,
  addStoreOptions,
  blobNameOf,
  contextOfBlob,
  hasWildcards,
  STORE_SHAPES,
  Stores,
  storePlaceOf,
} from "../places/store-place.ts";
import { type Progress, progressOn } from "../progress.ts";

export interface BlobPlaceOptions extends StoreOptions {
  readonly prefix?: string;
  readonly after?: string;
  readonly debug?: boolean;
}

export interface BlobOptions extends BlobPlaceOptions, KeyOptions, RecipientOptions, BlobContextOptions {}

/** The store that an argument names, and which of its blobs are meant. */
export interface OpenPlace {
  readonly store: BlobStore;
  /** The name of the container: the same for each argument that means it. Printable ASCII. */
  readonly container: string;
  /** Only names that begin so, and come after that one. */
  readonly page: { readonly prefix?: string; readonly after?: string };
}

/** What every verb of blobs has. */
export function addPlaceOptions(command: Command): Command {
  command.addArgument(new Argument("<store>", `${STORE_SHAPES} or dir:<folder>; what follows the container counts as --prefix`));
  command.option("--prefix <text>", "only blobs whose names begin so");
  command.option("--after <name>", "only blobs whose names come after this one: to go on where an earlier run ended");
  addStoreOptions(command);
  return addDebugOption(command);
}

/** What the verbs have that need no key. */
export function addKeylessOptions(command: Command): Command {
  return addCredentialOption(addPlaceOptions(command));
}

/** What the verbs have that need a key. */
export function addBlobKeyOptions(command: Command, meaningOfKey: string): Command {
  addPlaceOptions(command);
  addKeyOptions(command, meaningOfKey);
  return addNameContextOption(addContextOption(command));
}

/**
 * Opens the store that an argument names. Credentials come from the environment, so that they stand in no list of processes.
 *
 * @throws `invalid-argument`, `key-not-found`, `access-denied`
 */
export async function openPlace(argument: string, options: BlobPlaceOptions): Promise<OpenPlace> {
  const { prefix, after, endpoint } = options;
  const page = { ...(prefix !== undefined && { prefix }), ...(after !== undefined && { after }) };
  if (argument.startsWith(FOLDER)) {
    const path = argument.slice(FOLDER.length);
    if (endpoint !== undefined) throw usageError("--endpoint goes with stores of a vendor");
    if (!existsSync(path)) throw new EnvelockError("key-not-found", `there is no folder ${path}`, { hint: hintForMissing(path) });
    return { store: fileBlobs(path), container: `${FOLDER}${encodeURI(resolve(path))}`, page };
  }
  const place = storePlaceOf(argument);
  if (place === undefined) throw usageError(`the store is ${STORE_SHAPES} or dir:<folder>`, `did you mean dir:${argument}?`);
  if (hasWildcards(place)) throw usageError("a store has no wildcards", "--prefix is the beginning of names");
  if (place.name !== "" && prefix !== undefined) throw usageError(`${argument} has a prefix already`, "leave --prefix out");
  const at = endpoint === undefined ? "" : `@${endpoint}`;
  const container = encodeURI(`${place.kind.scheme}://${place.container}${at}`);
  return {
    store: await new Stores(options).at(place),
    container,
    page: { ...(place.name !== "" && { prefix: blobNameOf(place) }), ...page },
  };
}

/** Encrypted blobs in the store that the arguments name, for as long as `use` takes. */
export async function withBlobs<T>(
  argument: string,
  options: BlobOptions,
  use: (store: EncryptedStore, page: OpenPlace["page"], container: string) => Promise<T>,
): Promise<T> {
  const { store, page, container } = await openPlace(argument, options);
  return await withKeyring(options, [], (keyring) =>
    use(encryptedStore(keyring, store, { context: (name) => contextOfBlob(options, name) }), page, container),
  );
}

/** Shows on a terminal how many blobs are done, and how many a second. */
export function blobCounter(): Progress {
  return progressOn(process.stderr, undefined, undefined, (blobs) => {
    const count = blobs < 10 ? Math.round(blobs * 10) / 10 : Math.round(blobs);
    return `${count} ${count === 1 ? "blob" : "blobs"}`;
  });
}

const FOLDER = "dir:";
