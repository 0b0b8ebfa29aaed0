import { EnvelockError } from "../../core/base/errors.ts";
import { isServerSideEncryption, isStorageClass, type S3ContentHeaders } from "./calls.ts";

/** Makes the headers of a request from the properties of an object. */
export function headersOfContent(content: S3ContentHeaders): Record<string, string> {
  const { Expires, BucketKeyEnabled, ...texts } = content;
  const headers: Record<string, string> = {};
  for (const [property, name] of TEXTS) {
    const value = texts[property];
    if (value !== undefined) headers[name] = value;
  }
  return {
    ...headers,
    ...(Expires !== undefined && { expires: Expires.toUTCString() }),
    ...(BucketKeyEnabled !== undefined && { [BUCKET_KEY]: `${BucketKeyEnabled}` }),
  };
}

/**
 * Reads the properties of an object from the headers of an answer.
 *
 * @returns undefined for a storage class or an encryption that is not known, and could not be stated again
 */
export function contentHeadersOf(header: (name: string) => string | undefined): S3ContentHeaders | undefined {
  const [storageClass, encryption] = [header("x-amz-storage-class"), header("x-amz-server-side-encryption")];
  if (storageClass !== undefined && !isStorageClass(storageClass)) return undefined;
  if (encryption !== undefined && !isServerSideEncryption(encryption)) return undefined;
  const texts = Object.fromEntries(
    PLAIN_TEXTS.flatMap(([property, name]) => {
      const value = header(name);
      return value === undefined ? [] : [[property, value]];
    }),
  );
  const [expires, bucketKey] = [header("expires"), header(BUCKET_KEY)];
  const date = expires === undefined ? undefined : new Date(expires);
  return {
    ...texts,
    ...(storageClass !== undefined && { StorageClass: storageClass }),
    ...(encryption !== undefined && { ServerSideEncryption: encryption }),
    ...(date !== undefined && !Number.isNaN(date.getTime()) && { Expires: date }),
    ...(bucketKey !== undefined && { BucketKeyEnabled: bucketKey === "true" }),
  };
}

/** Unescapes a key of a list, as in a form. @throws `provider-failure` */
export function unescapedKey(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    throw new EnvelockError("provider-failure", "the store gave a list with a name that is not escaped as it says", { whose: "service" });
  }
}

/** The properties that are texts of any kind, and their headers. */
export const PLAIN_TEXTS = [
  ["ContentType", "content-type"],
  ["CacheControl", "cache-control"],
  ["ContentDisposition", "content-disposition"],
  ["ContentEncoding", "content-encoding"],
  ["ContentLanguage", "content-language"],
  ["WebsiteRedirectLocation", "x-amz-website-redirect-location"],
  ["SSEKMSKeyId", "x-amz-server-side-encryption-aws-kms-key-id"],
] as const;
const TEXTS = [...PLAIN_TEXTS, ["StorageClass", "x-amz-storage-class"], ["ServerSideEncryption", "x-amz-server-side-encryption"]] as const;
const BUCKET_KEY = "x-amz-server-side-encryption-bucket-key-enabled";
