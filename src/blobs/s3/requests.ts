/** A request to S3 before it is signed. */
export interface S3Request {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** The key of an object. Left out for a request to the bucket. */
  readonly name?: string;
  /** Decoded names and values. */
  readonly query: Readonly<Record<string, string>>;
  /** Names in lower case. All are signed, and sent. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Signs requests. */
export interface S3Signer {
  sign(request: S3Request): Promise<SignedS3Request>;
}

/** Where to send a request, and with which headers. */
export interface SignedS3Request {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Takes the time of a service that does not believe this signature's. Returns whether that makes a difference. */
  readonly follow?: (serverUnixMs: number) => boolean;
}

/** What a request does to an object, or to the list of the bucket. */
export type S3Operation = "read" | "write" | "delete" | "list";

/**
 * Finds what a request does: the requests that a store makes, and no other. A request that came from elsewhere is refused if it has a
 * parameter or a header that none of them has.
 *
 * @returns undefined for a request that no store makes
 */
export function operationOf({ method, name, query, headers }: S3Request): S3Operation | undefined {
  const parameters = Object.keys(query).sort().join();
  const known = OPERATIONS[`${method} ${name === undefined ? "bucket" : "object"} ${parameters}`];
  const areHeadersKnown = Object.keys(headers).every((header) => HEADERS.has(header) || METADATA_HEADER.test(header));
  if (known === undefined && method === "GET" && name === undefined && LIST_PARAMETERS.test(parameters) && areHeadersKnown) return "list";
  return areHeadersKnown ? known : undefined;
}

const OPERATIONS: Readonly<Record<string, S3Operation>> = {
  "GET object ": "read",
  "HEAD object ": "read",
  "PUT object ": "write",
  "POST object uploads": "write",
  "PUT object partNumber,uploadId": "write",
  "POST object uploadId": "write",
  "DELETE object uploadId": "write",
  "DELETE object ": "delete",
};
const LIST_PARAMETERS = /^encoding-type,list-type,max-keys(,prefix)?(,start-after)?$/;
const HEADERS: ReadonlySet<string> = new Set(["content-md5", "content-type", "if-match", "if-none-match", "range", "x-amz-mp-object-size"]);
const METADATA_HEADER = /^x-amz-meta-envelock[a-z0-9-]{0,40}$/;
