import { runtimeFetch } from "#fetch";
import { md5 } from "#md5";
import { toBase64 } from "../../core/base/base64.ts";
import { utf8 } from "../../core/base/bytes.ts";
import { type Clock, systemClock } from "../../core/base/clock.ts";
import { invalidArgument } from "../../core/base/errors.ts";
import {
  type BlobFetch,
  type BlobResponse,
  bodyOf,
  dropped,
  escapedName,
  MOST_ERROR_TEXT,
  metadataIn,
  quoted,
  rangeTotal,
  retryAfterMs,
  SILENCE_MS,
  safeBase,
  sent,
  textBodyOf,
  unusable,
  type Wire,
  withHead,
} from "../http.ts";
import { elementsIn, escapedXml, rootIn, sizeIn, textIn } from "../xml.ts";
import type { AzureCalls, AzureConditions, AzureContent } from "./calls.ts";
import { azureError } from "./refusals.ts";

/** A container as a URL with a shared access signature. */
export interface AzureSasContainer {
  /** `https://ACCOUNT.blob.core.windows.net/CONTAINER`, with the SAS as its query or without. */
  readonly url: string;
  /** The SAS, with or without its question mark. A function is asked before each request, for signatures that are renewed. */
  readonly sas?: string | (() => string | Promise<string>);
  /** Defaults to the global one. */
  readonly fetch?: BlobFetch;
  /** How long the service may be silent. Defaults to 60,000 ms. */
  readonly silenceMs?: number;
  readonly clock?: Clock;
}

/** Speaks to the service with `fetch` alone. @param hasDigests whether the service gets an MD5 of each body, to compare */
export function sasCalls(container: AzureSasContainer, hasTags: boolean | undefined, hasDigests: boolean): AzureCalls {
  const { url, sas, fetch = runtimeFetch, silenceMs = SILENCE_MS, clock = systemClock } = container;
  const base = baseOf(url);
  const given = sas ?? base.search;
  const wire: Wire = { fetch, clock, silenceMs };
  const digestHeaders = (bytes: Uint8Array): Record<string, string> => (hasDigests ? { "content-md5": toBase64(md5(bytes)) } : {});
  const call = async (what: string, { name, query = {}, method = "GET", headers = {}, body, conditions }: Call): Promise<BlobResponse> => {
    const signature = typeof given === "string" ? given : await given();
    const path = `${base.origin}${base.pathname}${name === undefined ? "" : `/${escapedName(name)}`}`;
    const asked = Object.entries(query).map(([key, value]) => `${key}=${encodeURIComponent(value)}`);
    const target = `${path}?${[...asked, signature.replace(/^\?/, "")].filter((part) => part !== "").join("&")}`;
    const sentHeaders = { "x-ms-version": VERSION, ...conditionHeaders(conditions), ...headers };
    const response = await sent(wire, what, {
      method,
      url: target,
      headers: sentHeaders,
      signal: conditions.signal,
      ...(body !== undefined && { body }),
    });
    if (response.status >= 200 && response.status < 300) return response;
    const text = await textBodyOf(wire, what, response, conditions.signal, MOST_ERROR_TEXT).catch(() => "");
    conditions.signal?.throwIfAborted();
    const code = response.headers.get("x-ms-error-code") ?? textIn(text, "Code") ?? "";
    throw azureError(what, response.status, code, undefined, retryAfterMs(response.headers.get("retry-after")));
  };
  const rootOf = async (name: string, what: string, request: Call): Promise<string> =>
    rootIn(what, await textBodyOf(wire, what, await call(what, request), request.conditions.signal), name);
  return {
    isWithoutTags: hasTags === false,
    hasTags: hasTags ?? (typeof given === "string" && /(?:^|[?&])sp=[a-z]*t/.test(given)),
    async download(name, start, end, conditions) {
      const what = "a read";
      const response = await call(what, { name, headers: { range: `bytes=${start}-${end - 1}` }, conditions });
      return await withHead(response, () => ({
        etag: etagOf(response),
        totalBytes: rangeTotal(what, response, start, end),
        metadata: metadataIn(response, METADATA),
        body: bodyOf(wire, what, response, conditions.signal),
      }));
    },
    async properties(name, conditions) {
      const response = await call("a look at properties", { name, method: "HEAD", conditions });
      const header = (key: string): string | undefined => response.headers.get(key) ?? undefined;
      const isTierSet = header("x-ms-access-tier") !== undefined && header("x-ms-access-tier-inferred") !== "true";
      return {
        etag: etagOf(response),
        bytes: Number(header("content-length")),
        metadata: metadataIn(response, METADATA),
        headers: defined({
          blobContentType: header("content-type"),
          blobContentEncoding: header("content-encoding"),
          blobContentLanguage: header("content-language"),
          blobContentDisposition: header("content-disposition"),
          blobCacheControl: header("cache-control"),
        }),
        tier: isTierSet ? header("x-ms-access-tier") : undefined,
        tagCount: Number(header("x-ms-tag-count") ?? 0),
        encryptionScope: header("x-ms-encryption-scope"),
        isHeld:
          header("x-ms-immutability-policy-until-date") !== undefined ||
          header("x-ms-legal-hold") === "true" ||
          header("x-ms-expiry-time") !== undefined,
      };
    },
    async tags(name, conditions) {
      const xml = await rootOf("Tags", "a look at tags", { name, query: { comp: "tags" }, conditions });
      return Object.fromEntries(elementsIn(xml, "Tag").map((tag) => [textIn(tag, "Key") ?? "", textIn(tag, "Value") ?? ""]));
    },
    async stageBlock(name, id, bytes, conditions) {
      const headers = { ...digestHeaders(bytes), ...defined({ [SCOPE]: conditions.encryptionScope }) };
      await dropped(
        await call("a block", { name, method: "PUT", query: { comp: "block", blockid: id }, headers, body: bytes, conditions }),
      );
    },
    async commitBlocks(name, ids, content, conditions) {
      const latest = ids.map((id) => `<Latest>${escapedXml(id)}</Latest>`).join("");
      const body = utf8(`<?xml version="1.0" encoding="utf-8"?><BlockList>${latest}</BlockList>`);
      const headers = { "content-type": "application/xml", ...contentHeaders(content) };
      const response = await call("a commit", { name, method: "PUT", query: { comp: "blocklist" }, headers, body, conditions });
      await dropped(response);
      return etagOf(response);
    },
    async putBlob(name, bytes, content, conditions) {
      const headers = { "x-ms-blob-type": "BlockBlob", ...digestHeaders(bytes), ...contentHeaders(content) };
      const response = await call("a whole blob", { name, method: "PUT", headers, body: bytes, conditions });
      await dropped(response);
      return etagOf(response);
    },
    async committedBlocks(name, conditions) {
      const what = "a look at blocks";
      const response = await call(what, { name, query: { comp: "blocklist", blocklisttype: "committed" }, conditions });
      const list = rootIn(what, await textBodyOf(wire, what, response, conditions.signal), "BlockList");
      const blocks = elementsIn(list, "Block").map((block) => ({ id: textIn(block, "Name") ?? "", bytes: sizeIn(what, block, "Size") }));
      return { etag: etagOf(response), blocks };
    },
    async remove(name, conditions) {
      await dropped(await call("a delete", { name, method: "DELETE", headers: { "x-ms-delete-snapshots": "include" }, conditions }));
    },
    async list(prefix, marker, limit, conditions) {
      const query = { restype: "container", comp: "list", prefix, maxresults: `${limit}`, ...(marker !== undefined && { marker }) };
      const what = "a list";
      const xml = await rootOf("EnumerationResults", what, { query, conditions });
      const entries = elementsIn(xml, "Blob").map((blob) => ({
        name: nameIn(what, blob),
        size: sizeIn(what, blob, "Content-Length"),
        etag: quoted(textIn(blob, "Etag") ?? ""),
      }));
      return { entries, marker: textIn(xml, "NextMarker") || undefined };
    },
    async findByTags(where, marker, limit, conditions) {
      const query = { restype: "container", comp: "blobs", where, maxresults: `${limit}`, ...(marker !== undefined && { marker }) };
      const what = "a search by tags";
      const xml = await rootOf("EnumerationResults", what, { query, conditions });
      const entries = elementsIn(xml, "Blob").map((blob) => ({ name: nameIn(what, blob), size: 0, etag: "" }));
      return { entries, marker: textIn(xml, "NextMarker") || undefined };
    },
  };
}

interface Call {
  readonly name?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly conditions: AzureConditions;
}

/** @throws `invalid-argument` */
function baseOf(url: string): URL {
  const base = safeBase(url);
  if (base !== undefined && base.pathname.length > 1 && base.hash === "") {
    base.pathname = base.pathname.replace(/\/$/, "");
    return base;
  }
  throw invalidArgument("the url of an Azure container is https, with the container as its path; http is for this machine alone");
}

function conditionHeaders({ ifMatch, ifNoneMatch, ifTags, leaseId }: AzureConditions): Record<string, string> {
  return defined({ "if-match": ifMatch, "if-none-match": ifNoneMatch, "x-ms-if-tags": ifTags, "x-ms-lease-id": leaseId });
}

function contentHeaders({ metadata, headers, tags, tier, encryptionScope }: AzureContent): Record<string, string> {
  const tagText = Object.entries(tags)
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .join("&");
  return {
    ...Object.fromEntries(Object.entries(metadata).map(([name, value]) => [`x-ms-meta-${name}`, value])),
    ...defined({
      "x-ms-blob-content-type": headers.blobContentType,
      "x-ms-blob-content-encoding": headers.blobContentEncoding,
      "x-ms-blob-content-language": headers.blobContentLanguage,
      "x-ms-blob-content-disposition": headers.blobContentDisposition,
      "x-ms-blob-cache-control": headers.blobCacheControl,
      "x-ms-access-tier": tier,
      [SCOPE]: encryptionScope,
      "x-ms-tags": tagText === "" ? undefined : tagText,
    }),
  };
}

function etagOf({ headers }: BlobResponse): string {
  const etag = headers.get("etag");
  if (etag !== null) return etag;
  throw unusable("a request: no ETag");
}

/** A name in XML, which a newer version of the service escapes if XML cannot hold it. */
function nameIn(what: string, xml: string): string {
  const name = textIn(xml, "Name") ?? "";
  if (!/<Name\s[^>]*Encoded="true"/i.test(xml)) return name;
  try {
    return decodeURIComponent(name);
  } catch {
    throw unusable(what);
  }
}

function defined<T extends Record<string, string | undefined>>(values: T): Record<string, string> {
  const known: Record<string, string> = {};
  for (const [name, value] of Object.entries(values)) if (value !== undefined) known[name] = value;
  return known;
}

const METADATA = "x-ms-meta-";
const SCOPE = "x-ms-encryption-scope";
const VERSION = "2023-11-03";
