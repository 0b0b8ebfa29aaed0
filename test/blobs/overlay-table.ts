import type { BlobOverlays, KeptOverlay } from "../../src/blobs/index.ts";

/** Overlays as an application keeps them in a table: one row a blob, with a version. */
export function memoryOverlays(rows: Map<string, KeptOverlay> = new Map()): BlobOverlays {
  let versions = 0;
  return {
    async read(name, { signal } = {}) {
      signal?.throwIfAborted();
      return rows.get(name);
    },
    async write(name, overlay, expected, { signal } = {}) {
      signal?.throwIfAborted();
      if (rows.get(name)?.version !== expected) return false;
      rows.set(name, { ...overlay, version: `${++versions}` });
      return true;
    },
    async remove(name, expected) {
      if (rows.get(name)?.version === expected) rows.delete(name);
    },
  };
}
