// The one table of entry points. `npm run entries` writes `exports`, `imports` and `paths` from it; the build, the tests and knip read it.

/** What users import, and the source behind it. */
export const ENTRIES = {
  ".": "src/index.ts",
  "./node": "src/node/index.ts",
  "./fields": "src/fields/index.ts",
  "./tenants": "src/tenants/index.ts",
  "./jobs": "src/jobs/index.ts",
  "./blobs": "src/blobs/index.ts",
  "./blobs/azure": "src/blobs/azure/index.ts",
  "./blobs/conformance": "src/blobs/conformance/index.ts",
  "./blobs/files": "src/blobs/files/index.ts",
  "./blobs/gcs": "src/blobs/gcs/index.ts",
  "./blobs/s3": "src/blobs/s3/index.ts",
  "./telemetry": "src/core/telemetry/index.ts",
  "./keyset-file": "providers/local/keyset-file.ts",
  "./providers/local": "providers/local/index.ts",
  "./providers/local-hybrid": "providers/local/hybrid.ts",
  "./providers/azure": "providers/azure/index.ts",
  "./providers/pkcs11": "providers/pkcs11/index.ts",
  "./providers/gcp-kms": "providers/gcp-kms/index.ts",
  "./providers/vault": "providers/vault/index.ts",
  "./providers/aws-kms": "providers/aws-kms/index.ts",
  "./providers/composite": "providers/composite/index.ts",
  "./providers/conformance": "providers/conformance/index.ts",
  "./stores/file": "src/stores/file.ts",
  "./stores/postgres": "src/stores/postgres.ts",
  "./stores/sqlite": "src/stores/sqlite.ts",
  "./stores/conformance": "src/stores/conformance/index.ts",
  "./drizzle": "src/integrations/drizzle.ts",
  "./kysely": "src/integrations/kysely.ts",
  "./prisma": "src/integrations/prisma.ts",
  "./typeorm": "src/integrations/typeorm.ts",
  "./azure-sdk": "src/integrations/azure-sdk/index.ts",
  "./azure-storage-encryption": "src/foreign/azure-storage/index.ts",
  "./s3-encryption-client": "src/foreign/s3-encryption/index.ts",
  "./open-telemetry": "src/integrations/open-telemetry.ts",
  "./testing/tenants": "src/testing/tenants/index.ts",
  "./testing/azure-emulator": "src/testing/azure-emulator/index.ts",
  "./testing/aws-kms-emulator": "src/testing/aws-kms-emulator/index.ts",
  "./testing/gcp-kms-emulator": "src/testing/gcp-kms-emulator/index.ts",
  "./testing/vault-emulator": "src/testing/vault-emulator/index.ts",
  "./testing/s3": "src/testing/s3/index.ts",
  "./testing/gcs": "src/testing/gcs/index.ts",
};

/**
 * What the package imports from itself, by runtime: the source for each condition. Types are those of `types`. The conditions
 * that name an engine come first, because Node has `node` too.
 */
export const INTERNAL = {
  "#engine": {
    types: "src/core/crypto/engine/engine.ts",
    "envelock-wasm": "src/core/crypto/engine/node-wasm.ts",
    "envelock-node": "src/core/crypto/engine/node-crypto.ts",
    deno: "src/core/crypto/engine/node-wasm.ts",
    node: "src/core/crypto/engine/node.ts",
    default: "src/core/crypto/engine/portable.ts",
  },
  "#lanes": {
    types: "src/core/stream/lanes/lanes.ts",
    node: "src/core/stream/lanes/node.ts",
    default: "src/core/stream/lanes/portable.ts",
  },
  "#sha2": {
    types: "src/core/base/sha2/sha2.ts",
    node: "src/core/base/sha2/node.ts",
    default: "src/core/base/sha2/portable.ts",
  },
  "#md5": {
    types: "src/blobs/md5/md5.ts",
    node: "src/blobs/md5/node.ts",
    default: "src/blobs/md5/portable.ts",
  },
  "#fetch": {
    types: "src/blobs/fetch/fetch.ts",
    node: "src/blobs/fetch/node.ts",
    default: "src/blobs/fetch/portable.ts",
  },
};

/** The command, and what runs in threads of its own: started by a path, imported by nobody. */
export const PROGRAMS = {
  cli: "src/cli/main.ts",
  "lanes/worker": "src/core/stream/lanes/worker.ts",
  "pkcs11/library-thread": "providers/pkcs11/thread/library-thread.ts",
  "pkcs11/worker": "providers/pkcs11/thread/worker.ts",
};

/** The name in `dist` of an entry point, without its ending. */
export function outputOf(entry) {
  return entry === "." ? "index" : entry.slice("./".length);
}

/** The name in `dist` of what `#engine` and the like stand for under one condition, without its ending. */
export function internalOutputOf(name, condition) {
  return `${name.slice("#".length)}/${OUTPUT_NAMES[condition] ?? condition}`;
}

const OUTPUT_NAMES = { "envelock-wasm": "node-wasm", "envelock-node": "node-crypto", deno: "node-wasm", default: "portable" };
