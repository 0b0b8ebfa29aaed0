export type { HttpFetch, HttpFetchAnswer, HttpFetchRequest } from "../core/base/http-fetch.ts";
export {
  type HttpsFetch,
  type HttpsFetchAnswer,
  type HttpsFetchOptions,
  type HttpsFetchRequest,
  httpsFetch,
} from "../core/base/https-fetch.ts";
export { decryptDuplex, encryptDuplex } from "./duplex.ts";
export { decryptFile, encryptFile, type FileOptions } from "./files.ts";
