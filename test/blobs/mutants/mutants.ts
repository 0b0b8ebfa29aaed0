import type { BlobUpload } from "../../../src/blobs/index.ts";
import { bytesOf, type Mutant, opening, readAny, uploading } from "./mutant.ts";

const BYTES = "blocks come back as one blob, whole and in parts";
const HEADER = "a new header is in force, and every other byte is kept";

export const MUTANTS: readonly Mutant[] = [
  {
    fault: "reads one byte less from the middle",
    noticedBy: BYTES,
    change: opening((blob) => ({
      async *read(start, end, options) {
        const bytes = await bytesOf(blob.read(start, end, options));
        yield start > 0 ? bytes.subarray(0, -1) : bytes;
      },
    })),
  },
  {
    fault: "loses what is small",
    noticedBy: "a blob of one small block comes back",
    change: uploading((upload) => ({
      put: (index, bytes, options) => upload.put(index, bytes.length < 10 ? new Uint8Array(0) : bytes, options),
    })),
  },
  {
    fault: "gives the size of what it read first",
    noticedBy: "open reads the first bytes, as many as there are",
    change: opening((blob) => ({ size: blob.first.length })),
  },
  {
    fault: "sends blocks at the commit",
    noticedBy: "a block may change once the store has taken it",
    change: uploading((upload) => {
      const blocks = new Map<number, Uint8Array>();
      return {
        async put(index, bytes) {
          blocks.set(index, bytes);
        },
        async commit(condition, options) {
          for (const [index, bytes] of blocks) await upload.put(index, bytes);
          return await upload.commit(condition, options);
        },
      };
    }),
  },
  {
    fault: "keeps blocks in the order in which they came",
    noticedBy: "blocks may come in any order, where several are in flight",
    change: uploading((upload) => {
      const places = new Map<number, number>();
      return {
        put(index, bytes, options) {
          if (!places.has(index)) places.set(index, places.size);
          return upload.put(places.get(index) ?? 0, bytes, options);
        },
      };
    }),
  },
  {
    fault: "appends a block that is put again",
    noticedBy: "a block that is put again counts once",
    change: uploading((upload) => {
      let count = 0;
      return { put: (_index, bytes, options) => upload.put(count++, bytes, options) };
    }),
  },
  {
    fault: "shows a blob as soon as a block is there",
    noticedBy: "nothing is seen before the commit, nor after an abort",
    change: uploading((upload) => ({
      async put(index, bytes, options) {
        await upload.put(index, bytes, options);
        await upload.commit({ always: true });
      },
    })),
  },
  {
    fault: "commits at an abort",
    noticedBy: "nothing is seen before the commit, nor after an abort",
    change: uploading((upload) => ({
      async abort() {
        await upload.commit({ always: true });
      },
    })),
  },
  { fault: "drops metadata", noticedBy: "metadata comes back", change: opening(() => ({ metadata: {} })) },
  {
    fault: "says of what is not there that it deleted it",
    noticedBy: "a blob that is not there is not found",
    change: (sound) => ({
      async delete(name, options) {
        await sound.delete(name, options);
        return true;
      },
    }),
  },
  { fault: "deletes nothing", noticedBy: "a deleted blob is gone", change: () => ({ delete: async () => true }) },
  {
    fault: "does not look at the signal",
    noticedBy: "an aborted signal stops it before anything is done",
    change: (sound) => ({ list: (page) => sound.list(page) }),
  },
  {
    fault: "creates what is there",
    noticedBy: "a name that is taken is not created again",
    change: uploading((upload) => ({ commit: (_condition, options) => upload.commit({ always: true }, options) })),
  },
  {
    fault: "looks at the name long before it commits",
    noticedBy: "of many creations of one name one wins",
    change: (sound) => ({
      async create(name, content, options) {
        const before = await sound.open(name, 1);
        const upload = await sound.create(name, content, options);
        const commit: BlobUpload["commit"] = async () => (before === undefined ? await upload.commit({ always: true }) : "changed");
        return { ...upload, commit };
      },
    }),
  },
  {
    fault: "replaces any version",
    noticedBy: "a replacement with ifMatch replaces that version alone",
    change: uploading((upload) => ({
      commit: (condition, options) => upload.commit("ifMatch" in condition ? { always: true } : condition, options),
    })),
  },
  {
    fault: "compares the version long before it commits",
    noticedBy: "of many replacements of one version one wins",
    change: (sound) => ({
      async create(name, content, options) {
        const before = await sound.open(name, 1);
        const upload = await sound.create(name, content, options);
        const commit: BlobUpload["commit"] = async (condition) => {
          if (!("ifMatch" in condition)) return await upload.commit(condition);
          return before?.etag === condition.ifMatch ? await upload.commit({ always: true }) : "changed";
        };
        return { ...upload, commit };
      },
    }),
  },
  {
    fault: "takes no condition for one that fails",
    noticedBy: "a replacement without a condition always holds",
    change: uploading((upload) => ({
      commit: (condition, options) => upload.commit("always" in condition ? { ifNone: "*" } : condition, options),
    })),
  },
  {
    fault: "forgets the condition of what has several blocks",
    noticedBy: "a blob of several blocks keeps to its condition",
    change: uploading((upload) => {
      let count = 0;
      return {
        put: (index, bytes, options) => {
          count++;
          return upload.put(index, bytes, options);
        },
        commit: (condition, options) => upload.commit(count > 1 ? { always: true } : condition, options),
      };
    }),
  },
  {
    fault: "reads whatever is there now",
    noticedBy: "a version that was replaced or deleted is source-changed",
    change: (sound) => opening((_blob, name) => ({ read: readAny(sound, name) }))(sound),
  },
  {
    fault: "deletes any version",
    noticedBy: "delete with ifMatch removes that version alone",
    change: (sound) => ({ delete: (name, { signal } = {}) => sound.delete(name, signal && { signal }) }),
  },
  {
    fault: "keeps a byte of the header before",
    noticedBy: HEADER,
    change: opening((blob) => ({
      replaceHeader: (change, options) => blob.replaceHeader({ ...change, ownHeaderBytes: change.ownHeaderBytes - 1 }, options),
    })),
  },
  {
    fault: "says of a header that it replaced it, and did not",
    noticedBy: HEADER,
    change: opening(() => ({ replaceHeader: async () => "replaced" })),
  },
  {
    fault: "wipes metadata with a new header",
    noticedBy: "a new header keeps the metadata that is not about keys",
    change: (sound) => {
      const replaced = new Set<string>();
      return opening((blob, name) => ({
        metadata: replaced.has(name) ? {} : blob.metadata,
        replaceHeader(change, options) {
          replaced.add(name);
          return blob.replaceHeader(change, options);
        },
      }))(sound);
    },
  },
  {
    fault: "puts a header before whatever is there now",
    noticedBy: "a header for a version that is gone is refused",
    change: (sound) =>
      opening((_blob, name) => ({
        async replaceHeader(change, options) {
          const now = await sound.open(name, 1);
          return now === undefined ? "changed" : await now.replaceHeader(change, options);
        },
      }))(sound),
  },
  {
    fault: "lets every new header win",
    noticedBy: "of many new headers for one version one wins",
    change: opening((blob) => ({
      async replaceHeader(change, options) {
        await blob.replaceHeader(change, options);
        return "replaced";
      },
    })),
  },
  {
    fault: "leaves the header of a deleted blob",
    noticedBy: "a header does not outlive its blob",
    header: "overlay",
    change: (sound) => {
      const left = new Map<string, Uint8Array>();
      return opening((blob, name) => ({
        ...(left.has(name) && { overlay: { header: left.get(name) ?? new Uint8Array(0) } }),
        async replaceHeader(change, options) {
          left.set(name, change.header);
          return await blob.replaceHeader(change, options);
        },
      }))(sound);
    },
  },
  {
    fault: "lists the newest first",
    noticedBy: "list gives every blob once, in order, in pages",
    change: (sound) => ({ list: async (page, options) => [...(await sound.list(page, options))].reverse() }),
  },
  {
    fault: "takes a prefix for a folder",
    noticedBy: "list keeps to its prefix",
    change: (sound) => ({
      list: ({ prefix = "", ...page }, options) => sound.list({ ...page, prefix: prefix.replace(/\/$/, "") }, options),
    }),
  },
  {
    fault: "indexes what a blob was created with",
    noticedBy: "the index finds the blobs of a key, if there is one",
    change: (sound) =>
      opening((blob) => ({ replaceHeader: (change, options) => blob.replaceHeader({ ...change, keys: [] }, options) }))(sound),
  },
];
