import type { RuntimeFetch } from "./fetch.ts";

export const runtimeFetch: RuntimeFetch = (url, request) => globalThis.fetch(url, request);
