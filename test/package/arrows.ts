import type { Import } from "./imports.ts";

/** Files that belong together. They may import each other, the floors below, and these packages. */
interface Room {
  /** A file, or a folder with all that is in it. */
  readonly paths: readonly string[];
  /** Beginnings of package names. */
  readonly packages?: readonly string[];
}

/** The core from top to bottom: arrows point downwards. Rooms on one floor do not know each other. */
const FLOORS: readonly (readonly Room[])[] = [
  [{ paths: ["src/cli/"], packages: ["commander", "@azure/identity", "pg", "node:"] }],
  [
    { paths: ["src/index.ts"] },
    { paths: ["src/integrations/"], packages: ["drizzle-orm/pg-core", "kysely", "typeorm", "@prisma/client", "@opentelemetry/api"] },
    { paths: ["src/node/"], packages: ["node:"] },
    { paths: ["src/stores/"], packages: ["node:"] },
    { paths: ["src/testing/"], packages: ["node:crypto", "node:http", "node:https", "node:util", "@noble/curves/"] },
  ],
  [{ paths: ["src/fields/"] }],
  [{ paths: ["src/core/keyring/"] }],
  [{ paths: ["src/core/stream/"], packages: ["node:os", "node:worker_threads"] }],
  [{ paths: ["src/core/key-source/"], packages: ["lru-cache"] }],
  [{ paths: ["src/core/resilience/"] }],
  [{ paths: ["src/core/telemetry/"] }],
  [{ paths: ["src/core/data-key/"] }],
  [{ paths: ["src/core/format/"] }, { paths: ["src/core/crypto/"], packages: ["node:crypto", "node:worker_threads", "@noble/"] }],
  [{ paths: ["src/core/contracts/"] }],
  [{ paths: ["src/core/base/"], packages: ["node:"] }],
];

/** What every provider may import beside its own folder. */
const PROVIDERS_SHARE: readonly string[] = ["src/core/contracts/", "src/core/base/"];

/** What one provider may import beyond that, and the packages that it needs. */
const PROVIDERS_ALSO: Readonly<Record<string, Room>> = {
  local: { paths: ["src/core/crypto/"], packages: ["@noble/post-quantum/", "node:fs/promises", "node:process"] },
  azure: { paths: ["providers/local/"], packages: ["@azure/keyvault-keys", "@azure/keyvault-secrets", "node:"] },
  pkcs11: { paths: [], packages: ["pkcs11js", "node:crypto", "node:fs/promises", "node:worker_threads"] },
  conformance: { paths: ["src/core/format/"] },
};

/** The one way into a provider, for the command line. */
const PROVIDER_ENTRY = /^providers\/[\w-]+\/index\.ts$/;

/** Why an import is against the rules, or undefined. */
export function objectionTo({ from, to }: Import): string | undefined {
  const isAllowed = from.startsWith("providers/") ? providerMay(from, to) : coreMay(from, to);
  return isAllowed ? undefined : `${from} must not import ${to}`;
}

/** The floor on which a file of the core is, from the top, or -1. */
export function floorOf(path: string): number {
  return FLOORS.findIndex((rooms) => rooms.some((room) => holds(room, path)));
}

function coreMay(from: string, to: string): boolean {
  const room = FLOORS.flat().find((candidate) => holds(candidate, from));
  if (room === undefined) return false;
  if (to.startsWith("providers/")) return holds(room, "src/cli/") && PROVIDER_ENTRY.test(to);
  return to.startsWith("src/") ? holds(room, to) || floorOf(to) > floorOf(from) : mayLoad(room, to);
}

function providerMay(from: string, to: string): boolean {
  const [, name = ""] = from.split("/");
  const also = PROVIDERS_ALSO[name] ?? { paths: [] };
  if (!to.startsWith("src/") && !to.startsWith("providers/")) return mayLoad(also, to);
  return holds({ paths: [...PROVIDERS_SHARE, ...also.paths, `providers/${name}/`] }, to);
}

function holds({ paths }: Room, path: string): boolean {
  return paths.some((own) => (own.endsWith("/") ? path.startsWith(own) : path === own));
}

function mayLoad({ packages = [] }: Room, name: string): boolean {
  return packages.some((own) => name.startsWith(own));
}
