import { basename } from "node:path";
import { type Command, Option } from "commander";
import type { BlobStore } from "../../blobs/index.ts";
import type { Context } from "../../core/base/context.ts";
import { closest } from "../../core/base/options.ts";
import { usageError } from "../failure.ts";
import { terminalText } from "../terminal-text.ts";
import { azurePlaces } from "./azure-place.ts";
import { gcsPlaces } from "./gcs-place.ts";
import { s3Places } from "./s3-place.ts";
import type { BlobContextOptions, Source, StoreKind, StoreOptions, StorePlace } from "./store-kind.ts";

export function textOfSource(source: Source): string {
  return typeof source === "string" ? source : source.text;
}

/** A source on a terminal. */
export function shownSource(source: Source): string {
  return terminalText(textOfSource(source));
}

/** The last part of a source's name. */
export function ownPlaceOf(source: Source): string {
  return typeof source === "string" ? basename(source) : source.name.slice(source.name.lastIndexOf("/") + 1);
}

/** The options of every verb that reaches stores. */
export function addStoreOptions(command: Command): Command {
  return command
    .addOption(new Option("--endpoint <url>", "where a store is, if not at its vendor's own host"))
    .addOption(new Option("--s3-mode <service>", "which service an endpoint of s3:// is").choices(["aws", "r2", "minio"]));
}

export function addNameContextOption(command: Command): Command {
  return command
    .addOption(new Option("--name-context <key>", "the key of the context that holds a blob's name").default("object"))
    .addOption(new Option("--no-name-context", "the context of a blob has no name in it"));
}

/** The context of a blob: what `--context` says, and its name, unless `--context` has that key already. */
export function contextOfBlob({ context = {}, nameContext = "object" }: BlobContextOptions, name: string): Context {
  if (nameContext === false || Object.hasOwn(context, nameContext)) return context;
  return { ...context, [nameContext]: name };
}

/** Reads an argument. @returns undefined for what names a file or standard input @throws `invalid-argument` for what names no place */
export function storePlaceOf(argument: string): StorePlace | undefined {
  const [, scheme, path = ""] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(argument) ?? [];
  if (scheme === undefined) return undefined;
  const kind = KINDS.find((each) => each.scheme === scheme.toLowerCase());
  if (kind === undefined) throw unknownScheme(scheme);
  const parts = kind.split(path);
  if (parts === undefined) throw usageError(`"${argument}" names no place in a store`, `name a blob as ${kind.shape}`);
  return { text: argument, kind, ...parts };
}

/** Whether an argument names many blobs: a container, what is below a slash, or what fits a pattern. */
export function namesMany(place: StorePlace): boolean {
  return place.name === "" || place.name.endsWith("/") || hasWildcards(place);
}

export function hasWildcards({ name }: StorePlace): boolean {
  return WILDCARD.test(name);
}

/** A test of names for a pattern, and the part that stands before its first wildcard. */
export function patternOf(name: string): { readonly prefix: string; readonly fits: (name: string) => boolean } {
  const at = WILDCARD.exec(name);
  if (at === null) return { prefix: unescaped(name), fits: () => true };
  const parts = name.split(/(\\[*?]|\*\*|\*|\?)/);
  const source = parts.map((part) => WILDCARDS[part] ?? escapedRegExp(unescaped(part))).join("");
  const pattern = new RegExp(`^${source}$`, "su");
  return { prefix: unescaped(name.slice(0, at.index)), fits: (candidate) => pattern.test(candidate) };
}

/** The blob that a place without wildcards names. */
export function blobNameOf({ name }: StorePlace): string {
  return unescaped(name);
}

/** The stores that the arguments of a command name, each opened once. */
export class Stores {
  readonly #options: StoreOptions;
  readonly #open = new Map<string, Promise<BlobStore>>();

  constructor(options: StoreOptions) {
    this.#options = options;
  }

  async at({ kind, container }: StorePlace): Promise<BlobStore> {
    const key = `${kind.scheme}://${container}`;
    const opening = this.#open.get(key) ?? kind.open(container, this.#options);
    this.#open.set(key, opening);
    return await opening;
  }

  /** What an argument names that is read alone. @throws `invalid-argument` if it names many blobs */
  async source(argument: string): Promise<Source> {
    const place = storePlaceOf(argument);
    if (place === undefined) return argument;
    if (namesMany(place)) throw usageError(`${argument} names no single blob`, `name one as ${place.kind.shape}`);
    return { text: argument, store: await this.at(place), name: blobNameOf(place) };
  }
}

function unescaped(text: string): string {
  return text.replaceAll(/\\([*?])/g, "$1");
}

function escapedRegExp(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

function unknownScheme(scheme: string): Error {
  const given = scheme.toLowerCase();
  const names = KINDS.map((each) => each.scheme);
  const meant = names.find((name) => name === ALIASES[given]) ?? closest(given, names);
  return usageError(
    `no kind of store is called "${scheme}://"`,
    meant === undefined ? `blobs are named as ${BLOB_SHAPES}; a file as ./name` : `did you mean ${meant}://?`,
  );
}

/** A wildcard without a backslash before it: no name of a blob has one. */
const WILDCARD = /(?<!\\)[*?]/;
const WILDCARDS: Readonly<Record<string, string>> = { "**": ".*", "*": "[^/]*", "?": "[^/]" };
/** What others call the schemes. */
const ALIASES: Readonly<Record<string, string>> = { azure: "az", abfs: "az", wasb: "az", aws: "s3", gcs: "gs", google: "gs" };
const KINDS: readonly StoreKind[] = [azurePlaces, s3Places, gcsPlaces];
/** The arguments that name stores, in every help. */
export const STORE_SHAPES: string = KINDS.map(({ storeShape }) => storeShape).join(", ");
/** The arguments that name blobs. */
export const BLOB_SHAPES: string = KINDS.map(({ shape }) => shape).join(", ");
