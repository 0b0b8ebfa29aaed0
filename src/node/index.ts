export type { HttpFetch, HttpFetchAnswer, HttpFetchRequest } from "../core/base/http-fetch.ts";
export { type HttpsFetchOptions, httpsFetch } from "../core/base/https-fetch.ts";
export { decryptDuplex, encryptDuplex } from "./duplex.ts";
export { decryptFile, encryptFile, type FileOptions } from "./files.ts";
