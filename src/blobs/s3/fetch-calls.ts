import { md5 } from "#md5";
import { toBase64 } from "../../core/base/base64.ts";
import { utf8 } from "../../core/base/bytes.ts";
import {
  type BlobResponse,
  bodyOf,
  dropped,
  escapedName,
  gatheredBytes,
  lengthOf,
  MOST_ERROR_TEXT,
  metadataIn,
  quoted,
  rangeTotal,
  retryAfterMs,
  sent,
  textBodyOf,
  unusable,
  type Wire,
  withHead,
} from "../http.ts";
import { elementsIn, escapedXml, rootIn, sizeIn, textIn } from "../xml.ts";
import { MOST_ANNOTATION_BYTES, type S3Calls, type S3Conditions, type S3Content, type S3Head } from "./calls.ts";
import { contentHeadersOf, headersOfContent, unescapedKey } from "./content-headers.ts";
import { pinned, s3Error } from "./refusals.ts";
import type { S3Request, S3Signer } from "./requests.ts";

/** Speaks to the service with `fetch` alone. @param bucket the name of the bucket, which a copy states */
export function fetchCalls(wire: Wire, signer: S3Signer, bucket: string): S3Calls {
  const call = async (what: string, request: Call, isSecond = false): Promise<BlobResponse> => {
    const { method = "GET", name, query = {}, headers = {}, body, conditions } = request;
    const { ifMatch, ifNoneMatch, signal } = conditions;
    signal?.throwIfAborted();
    const all = {
      ...(ifMatch !== undefined && { "if-match": ifMatch }),
      ...(ifNoneMatch !== undefined && { "if-none-match": ifNoneMatch }),
      ...(body !== undefined && { "content-md5": toBase64(md5(body)) }),
      ...headers,
    };
    const { follow, ...signed } = await signer.sign({ method, query, headers: all, ...(name !== undefined && { name }) });
    const response = await sent(wire, what, { method, ...signed, signal, ...(body !== undefined && { body }) });
    if (response.status >= 200 && response.status < 300) return response;
    const text = await textBodyOf(wire, what, response, signal, MOST_ERROR_TEXT).catch(() => "");
    signal?.throwIfAborted();
    const code = textIn(text, "Code") ?? "";
    const serverUnixMs = Date.parse(response.headers.get("date") ?? "");
    const mayBeSkewed = code === "RequestTimeTooSkewed" || (method === "HEAD" && response.status === 403); // an answer to HEAD has no code
    if (mayBeSkewed && !isSecond && follow?.(serverUnixMs) === true) return await call(what, request, true);
    throw s3Error(what, response.status, code, undefined, retryAfterMs(response.headers.get("retry-after")));
  };
  /** Reads an answer of XML. The service may begin one with 200 and tell of an error in its text. */
  const xmlOf = async (what: string, request: Call): Promise<string> => {
    const text = await textBodyOf(wire, what, await call(what, request), request.conditions.signal);
    const [error] = /<Error[\s>]/.test(text) ? elementsIn(text, "Error") : [];
    if (error !== undefined) throw s3Error(what, 500, textIn(error, "Code") ?? "");
    return text;
  };
  return {
    async get(key, start, end, conditions) {
      const what = "a read";
      const response = await call(what, { name: key, headers: { range: `bytes=${start}-${end - 1}` }, conditions });
      return await withHead(response, () => ({
        etag: pinned(what, etagOf(response), conditions),
        totalBytes: rangeTotal(what, response, start, end),
        metadata: metadataIn(response, METADATA),
        body: bodyOf(wire, what, response, conditions.signal),
      }));
    },
    async head(key, conditions) {
      const response = await call("a look at an object", { name: key, method: "HEAD", conditions });
      await dropped(response);
      return headOf(response);
    },
    async tags(key, conditions) {
      const what = "a look at tags";
      const xml = await xmlOf(what, { name: key, query: { tagging: "" }, conditions });
      const pairs = elementsIn(rootIn(what, xml, "Tagging"), "Tag").map((tag) => [textIn(tag, "Key") ?? "", textIn(tag, "Value") ?? ""]);
      return pairs.map((pair) => pair.map(encodeURIComponent).join("=")).join("&");
    },
    async put(key, bytes, content, conditions) {
      const response = await call("a whole object", { name: key, method: "PUT", headers: objectHeaders(content), body: bytes, conditions });
      await dropped(response);
      return etagOf(response);
    },
    async remove(key, conditions) {
      await dropped(await call("a delete", { name: key, method: "DELETE", conditions }));
    },
    async list(prefix, after, limit, conditions) {
      const query = {
        "list-type": "2",
        "encoding-type": "url",
        "max-keys": `${limit}`,
        ...(prefix !== "" && { prefix }),
        ...(after !== undefined && { "start-after": after }),
      };
      const what = "a list";
      const xml = rootIn(what, await xmlOf(what, { query, conditions }), "ListBucketResult");
      const isEscaped = textIn(xml, "EncodingType") === "url";
      const entries = elementsIn(xml, "Contents").map((entry) => ({
        name: isEscaped ? unescapedKey(textIn(entry, "Key") ?? "") : (textIn(entry, "Key") ?? ""),
        size: sizeIn(what, entry, "Size"),
        etag: quoted(textIn(entry, "ETag") ?? ""),
      }));
      return { entries, isLast: textIn(xml, "IsTruncated") !== "true" };
    },
    async beginUpload(key, content, conditions) {
      const request = { name: key, method: "POST", query: { uploads: "" }, headers: objectHeaders(content), conditions } as const;
      const id = textIn(await xmlOf("the beginning of an upload", request), "UploadId");
      if (id === undefined || id === "") throw unusable("the beginning of an upload");
      return id;
    },
    async putPart({ key, id }, number, bytes, conditions) {
      const query = { partNumber: `${number}`, uploadId: id };
      const response = await call("a part", { name: key, method: "PUT", query, body: bytes, conditions });
      await dropped(response);
      return { number, etag: etagOf(response), checksums: {} };
    },
    async copyPart({ key, id }, number, { start, end }, { ifMatch, signal }) {
      const what = "a copy of a part";
      const headers = {
        "x-amz-copy-source": `/${bucket}/${escapedName(key)}`,
        "x-amz-copy-source-range": `bytes=${start}-${end - 1}`,
        ...(ifMatch !== undefined && { "x-amz-copy-source-if-match": ifMatch }),
      };
      const query = { partNumber: `${number}`, uploadId: id };
      const xml = await xmlOf(what, { name: key, method: "PUT", query, headers, conditions: signal ? { signal } : {} });
      return { number, etag: etagIn(xml, what), checksums: {} };
    },
    async completeUpload({ key, id }, parts, bytes, conditions) {
      const what = "the end of an upload";
      const list = parts.map(({ number, etag }) => `<Part><PartNumber>${number}</PartNumber><ETag>${escapedXml(etag)}</ETag></Part>`);
      const body = utf8(`<CompleteMultipartUpload xmlns="${NAMESPACE}">${list.join("")}</CompleteMultipartUpload>`);
      const headers = { "content-type": "application/xml", ...(bytes !== undefined && { "x-amz-mp-object-size": `${bytes}` }) };
      const xml = await xmlOf(what, { name: key, method: "POST", query: { uploadId: id }, headers, body, conditions });
      return etagIn(xml, what);
    },
    async abortUpload({ key, id }, conditions) {
      await dropped(await call("the abort of an upload", { name: key, method: "DELETE", query: { uploadId: id }, conditions }));
    },
    async getAnnotation(key, name, conditions) {
      const what = "a look at an annotation";
      const response = await call(what, { name: key, query: { annotation: "", annotationName: name }, conditions });
      const text = await gatheredBytes(bodyOf(wire, what, response, conditions.signal), MOST_ANNOTATION_BYTES);
      return { text: new TextDecoder().decode(text), etag: etagOf(response) };
    },
    async putAnnotation(key, name, text, { ifMatch, signal }) {
      const request = {
        name: key,
        method: "PUT",
        query: { annotation: "", annotationName: name },
        headers: ifMatch === undefined ? {} : { "x-amz-object-if-match": ifMatch },
        body: utf8(text),
        conditions: signal ? { signal } : {},
      } as const;
      await dropped(await call("an annotation", request));
    },
  };
}

interface Call {
  readonly method?: S3Request["method"];
  readonly name?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly conditions: S3Conditions;
}

function objectHeaders({ metadata, headers, tagging }: S3Content): Record<string, string> {
  return {
    ...Object.fromEntries(Object.entries(metadata).map(([name, value]) => [`${METADATA}${name}`, value])),
    ...headersOfContent(headers),
    ...(tagging !== undefined && { "x-amz-tagging": tagging }),
  };
}

function headOf(response: BlobResponse): S3Head {
  const header = (name: string): string | undefined => response.headers.get(name) ?? undefined;
  const bytes = lengthOf(response.headers);
  if (bytes === undefined) throw unusable("a look at an object");
  const content = contentHeadersOf(header);
  return {
    etag: etagOf(response),
    bytes,
    metadata: metadataIn(response, METADATA),
    headers: content ?? {},
    hasTags: Number(header("x-amz-tagging-count") ?? 0) > 0,
    isHeld: content === undefined || HELD.some((name) => header(name) !== undefined && header(name) !== "OFF"),
  };
}

function etagOf({ headers }: BlobResponse): string {
  const etag = headers.get("etag");
  if (etag !== null && etag !== "") return quoted(etag);
  throw unusable("a request: no ETag");
}

function etagIn(xml: string, what: string): string {
  const etag = textIn(xml, "ETag");
  if (etag !== undefined && etag !== "") return quoted(etag);
  throw unusable(what);
}

const METADATA = "x-amz-meta-";
const NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/";
const HELD = ["x-amz-object-lock-mode", "x-amz-object-lock-legal-hold", "x-amz-server-side-encryption-customer-algorithm"];
