import type { Import } from "./imports.ts";

/** A folder whose files belong together. They may import each other, what lies below, and these packages. */
export interface Room {
  /** From the root. The root entry alone is a file. */
  readonly path: string;
  /** What is in it, in a few words. */
  readonly holds: string;
  /** Beginnings of the names of packages that it may load. */
  readonly packages?: readonly string[];
}

/** A provider's folder. It stands on `PROVIDERS_SHARE`. */
export interface ProviderRoom extends Room {
  /** Folders that it may import beyond that. */
  readonly also?: readonly string[];
  /** Whether it is no provider, but what several of them use. */
  readonly isShared?: boolean;
  /** The folders in it, from the top: arrows between them point down. Files beside them belong to no floor. */
  readonly inner?: readonly (readonly string[])[];
}

/** `src` from top to bottom: arrows point down. Rooms on one floor do not know each other. */
export const FLOORS: readonly (readonly Room[])[] = [
  [{ path: "src/cli/", holds: "the command, one file a verb", packages: ["commander", "@azure/identity", "pg", "node:"] }],
  [{ path: "src/foreign/", holds: "readers of other formats, and the way from them to envelopes" }],
  [
    { path: "src/index.ts", holds: "the door: re-exports alone" },
    { path: "src/node/", holds: "Node's streams and files", packages: ["node:"] },
    { path: "src/stores/", holds: "where data keys lie", packages: ["node:"] },
    {
      path: "src/integrations/",
      holds: "ORMs, Azure SDK, telemetry",
      packages: ["drizzle-orm", "kysely", "@prisma/client", "@opentelemetry/api"],
    },
    {
      path: "src/testing/",
      holds: "emulators for users",
      packages: ["node:crypto", "node:events", "node:http", "node:https", "node:util", "node:zlib", "@noble/curves/", "@noble/ciphers/"],
    },
  ],
  [{ path: "src/jobs/", holds: "jobs over a fleet: partitions, leases, runners" }],
  [
    { path: "src/tenants/", holds: "keys of tenants: life cycle, isolation, moves, health" },
    { path: "src/blobs/", holds: "encrypted objects in Azure Blob, S3, GCS and files", packages: ["node:", "@noble/hashes/"] },
  ],
  [{ path: "src/fields/", holds: "data keys in a store, ciphers for columns, blind indexes, jobs" }],
  [{ path: "src/core/keyring/", holds: "encrypt, decrypt, rewrap; routes to providers by key id" }],
  [
    {
      path: "src/core/stream/",
      holds: "pieces, web streams, ranges, uploads, worker lanes",
      packages: ["node:os", "node:worker_threads"],
    },
  ],
  [{ path: "src/core/key-source/", holds: "where data keys come from: made, reused, unwrapped, cached" }],
  [{ path: "src/core/resilience/", holds: "the only caller of providers: deadline, retry, breaker, queue" }],
  [{ path: "src/core/telemetry/", holds: "typed events" }],
  [{ path: "src/core/data-key/", holds: "a data key, what is derived from it, a body under it" }],
  [
    { path: "src/core/format/", holds: "bytes to structures and back" },
    {
      path: "src/core/crypto/",
      holds: "constructions, engines",
      packages: ["node:crypto", "node:worker_threads", "@noble/"],
    },
  ],
  [{ path: "src/core/contracts/", holds: "what a provider is, and a key wrapper, a random source, a store: types" }],
  [{ path: "src/core/base/", holds: "bytes, errors, context, options, one clock", packages: ["node:", "@noble/hashes/"] }],
];

/** One folder a provider. They do not know each other, but for what `also` names. */
export const PROVIDERS: readonly ProviderRoom[] = [
  {
    path: "providers/local/",
    holds: "KEKs in this process",
    also: ["src/core/crypto/"],
    packages: ["@noble/post-quantum/", "node:"],
  },
  {
    path: "providers/azure/",
    holds: "Key Vault, Managed HSM",
    also: ["providers/local/", "providers/http/"],
    inner: [["doctor"], ["sdk"]],
    packages: ["@azure/keyvault-keys", "@azure/keyvault-secrets", "node:"],
  },
  {
    path: "providers/pkcs11/",
    holds: "tokens and HSMs",
    inner: [["token", "thread"], ["wrapping"], ["session"], ["cryptoki"]],
    packages: ["pkcs11js", "node:crypto", "node:fs/promises", "node:worker_threads"],
  },
  { path: "providers/gcp-kms/", holds: "Google Cloud KMS", also: ["providers/http/"] },
  { path: "providers/vault/", holds: "Vault, OpenBao: transit", also: ["providers/http/"] },
  { path: "providers/aws-kms/", holds: "AWS KMS", also: ["providers/http/"] },
  { path: "providers/composite/", holds: "one key of several: both of two, k of n", also: ["src/core/format/"] },
  { path: "providers/http/", holds: "one host over HTTP, shared by key services", isShared: true },
  { path: "providers/conformance/", holds: "the contract as cases", also: ["src/core/format/"] },
];

/** What every provider may import beside its own folder. */
export const PROVIDERS_SHARE: readonly string[] = ["src/core/contracts/", "src/core/base/"];

/** The room that may import providers, and the ways in: entry points alone. */
export const KNOWS_PROVIDERS = "src/cli/";
const PROVIDER_ENTRY = /^providers\/(?:[\w-]+(?:\/[\w-]+)?\/index|local\/(?:hybrid|keyset-file))\.ts$/;

/** Why an import is against the rules, or undefined. */
export function objectionTo({ from, to }: Import): string | undefined {
  const isAllowed = from.startsWith("providers/") ? providerMay(from, to) : sourceMay(from, to);
  return isAllowed ? undefined : `${from} must not import ${to}`;
}

/** Whether a file lies in a room of the table. */
export function hasPlace(path: string): boolean {
  return floorOf(path) !== -1 || PROVIDERS.some((room) => holds(room, path));
}

function sourceMay(from: string, to: string): boolean {
  const room = FLOORS.flat().find((candidate) => holds(candidate, from));
  if (room === undefined) return false;
  if (to.startsWith("providers/")) return room.path === KNOWS_PROVIDERS && PROVIDER_ENTRY.test(to);
  return to.startsWith("src/") ? holds(room, to) || floorOf(to) > floorOf(from) : mayLoad(room, to);
}

function providerMay(from: string, to: string): boolean {
  const room = PROVIDERS.find((candidate) => holds(candidate, from));
  if (room === undefined) return false;
  if (!to.startsWith("src/") && !to.startsWith("providers/")) return mayLoad(room, to);
  if (holds(room, to)) return innerMay(room, from, to);
  return [...PROVIDERS_SHARE, ...(room.also ?? [])].some((path) => to.startsWith(path));
}

/** Between two inner folders arrows point down. */
function innerMay({ path, inner = [] }: ProviderRoom, from: string, to: string): boolean {
  const [ownFolder, otherFolder] = [from, to].map((file) => file.slice(path.length).split("/").slice(0, -1).join("/"));
  const [own, other] = [ownFolder, otherFolder].map((folder) => inner.findIndex((folders) => folders.some((name) => name === folder)));
  if (ownFolder === otherFolder || own === undefined || other === undefined || own === -1 || other === -1) return true;
  return other > own;
}

function floorOf(path: string): number {
  return FLOORS.findIndex((rooms) => rooms.some((room) => holds(room, path)));
}

function holds({ path }: Room, file: string): boolean {
  return path.endsWith("/") ? file.startsWith(path) : file === path;
}

function mayLoad({ packages = [] }: Room, name: string): boolean {
  return packages.some((own) => name.startsWith(own));
}
