import type { BlobFetch } from "../http.ts";

/** The `fetch` of this runtime, in a way that copies the bytes of a request as rarely as it can. */
export type RuntimeFetch = BlobFetch;
