import { EnvelockError } from "../../../src/core/base/errors.ts";
import type { Mutant } from "./mutant.ts";

export const LIFECYCLE_MUTANTS: readonly Mutant[] = [
  {
    fault: "does not heed the signal when it reads",
    noticedBy: "an aborted signal stops it before anything is done",
    change: (sound) => ({ list: (scope) => sound.list(scope) }),
  },
  {
    fault: "heeds the signal once the work is done",
    noticedBy: "an aborted signal stops it before anything is done",
    change: (sound) => ({
      async insertIfAbsent(row, options) {
        const isInserted = await sound.insertIfAbsent(row);
        options?.signal?.throwIfAborted();
        return isInserted;
      },
    }),
  },
  {
    fault: "has an error of its own for an abort",
    noticedBy: "an aborted signal stops it before anything is done",
    change: (sound) => ({
      async scan(page, options) {
        if (options?.signal?.aborted) throw new EnvelockError("timeout", "aborted");
        return await sound.scan(page);
      },
    }),
  },
  {
    fault: "cannot be closed twice",
    noticedBy: "close twice is fine, and leaves others open",
    change() {
      let isClosed = false;
      return {
        async close() {
          if (isClosed) throw new EnvelockError("closed", "this store has been closed");
          isClosed = true;
        },
      };
    },
  },
  {
    fault: "closes a connection that others share",
    noticedBy: "close twice is fine, and leaves others open",
    change: (sound, backing) => ({
      async byKid(scope, kid, options) {
        if (backing.isClosed) throw new EnvelockError("closed", "the connection has been closed");
        return await sound.byKid(scope, kid, options);
      },
      async close() {
        backing.isClosed = true;
      },
    }),
  },
];
