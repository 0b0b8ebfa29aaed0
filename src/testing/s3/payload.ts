import { headerText, hmac, scopeText, sha256, signingKey } from "../emulator/aws-signature.ts";
import { S3Answer } from "./answer.ts";
import { md5 } from "./bucket.ts";
import { CHECKSUM_ALGORITHMS, type ChecksumAlgorithm, checksumHeader, checksumOf } from "./checksums.ts";
import type { SignedRequest } from "./signed-request.ts";

/** The body of a request, decoded and checked. */
export interface Payload {
  readonly bytes: Buffer;
  /** The checksum that the client sent, in a header or behind the body. */
  readonly checksum: { readonly algorithm: ChecksumAlgorithm; readonly value: string } | undefined;
}

/**
 * Takes `aws-chunked` apart, and checks the body against its signature, its MD5 and its checksum.
 *
 * @throws `XAmzContentSHA256Mismatch`, `BadDigest`, `InvalidDigest`, `IncompleteBody`, `SignatureDoesNotMatch`, `InvalidRequest`
 */
export function payloadOf(body: Buffer, signed: SignedRequest): Payload {
  const { headers, payload } = signed;
  const { bytes, trailers } = payload.startsWith("STREAMING-") ? decoded(body, signed) : { bytes: body, trailers: NO_TRAILERS };
  if (HEX.test(payload) && sha256(bytes) !== payload)
    throw new S3Answer("XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed.");
  if (!HEX.test(payload) && !PAYLOADS.has(payload))
    throw new S3Answer("InvalidArgument", `x-amz-content-sha256 must be UNSIGNED-PAYLOAD, one of STREAMING-…, or 64 hexadecimal digits`);
  requireMd5(headerText(headers, "content-md5"), bytes);
  return { bytes, checksum: checkedChecksum((name) => headerText(headers, name) || trailers.get(name) || undefined, bytes) };
}

function requireMd5(stated: string, bytes: Buffer): void {
  if (stated === "") return;
  if (Buffer.from(stated, "base64").length !== 16) throw new S3Answer("InvalidDigest", "The Content-MD5 you specified was invalid.");
  if (md5([bytes]).toString("base64") !== stated)
    throw new S3Answer("BadDigest", "The Content-MD5 you specified did not match what we received.");
}

function checkedChecksum(stated: (name: string) => string | undefined, bytes: Buffer): Payload["checksum"] {
  const found = CHECKSUM_ALGORITHMS.flatMap((algorithm) => {
    const value = stated(checksumHeader(algorithm));
    return value === undefined ? [] : [{ algorithm, value }];
  });
  const [checksum] = found;
  if (checksum === undefined) return undefined;
  if (found.length > 1)
    throw new S3Answer("InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.");
  if (checksumOf(checksum.algorithm, [bytes]) !== checksum.value)
    throw new S3Answer("BadDigest", `The ${checksum.algorithm} you specified did not match the calculated checksum.`);
  return checksum;
}

interface Decoded {
  readonly bytes: Buffer;
  readonly trailers: ReadonlyMap<string, string>;
}

function decoded(body: Buffer, signed: SignedRequest): Decoded {
  const length = headerText(signed.headers, "x-amz-decoded-content-length");
  if (!/^[0-9]{1,16}$/.test(length)) throw new S3Answer("MissingContentLength");
  const chunks = new Chunks(body, signed);
  const pieces = [...chunks];
  const bytes = Buffer.concat(pieces);
  if (bytes.length !== Number(length)) throw new S3Answer("IncompleteBody");
  return { bytes, trailers: chunks.trailers() };
}

/** The chunks of a body in `aws-chunked`: `length;chunk-signature=…`, bytes, and so on until an empty one, then the trailers. */
class Chunks {
  readonly #body: Buffer;
  readonly #signed: SignedRequest;
  readonly #isSigned: boolean;
  readonly #key: Buffer;
  #at = 0;
  #last: string;

  constructor(body: Buffer, signed: SignedRequest) {
    this.#body = body;
    this.#signed = signed;
    this.#isSigned = signed.payload.startsWith("STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    this.#key = signingKey(signed.key.credentials.secretAccessKey, signed.scope);
    this.#last = signed.signature;
  }

  *[Symbol.iterator](): Generator<Buffer, void, undefined> {
    for (;;) {
      const [, hex = "", signature = ""] = CHUNK_HEAD.exec(this.#line()) ?? [];
      if (hex === "" || this.#isSigned !== (signature !== "")) throw new S3Answer("IncompleteBody");
      const length = Number.parseInt(hex, 16);
      const chunk = this.#body.subarray(this.#at, this.#at + length);
      if (chunk.length < length) throw new S3Answer("IncompleteBody");
      if (this.#isSigned) this.#check("PAYLOAD", `${sha256("")}\n${sha256(chunk)}`, signature);
      this.#at += length;
      if (length === 0) return;
      if (this.#line() !== "") throw new S3Answer("IncompleteBody");
      yield chunk;
    }
  }

  /** Reads what follows the chunks. */
  trailers(): ReadonlyMap<string, string> {
    const found = new Map<string, string>();
    while (this.#at < this.#body.length) {
      const line = this.#line();
      if (line === "") continue;
      const at = line.indexOf(":");
      if (at === -1) throw new S3Answer("IncompleteBody");
      found.set(line.slice(0, at).toLowerCase(), line.slice(at + 1).trim());
    }
    const signature = found.get("x-amz-trailer-signature");
    found.delete("x-amz-trailer-signature");
    const announced = headerText(this.#signed.headers, "x-amz-trailer");
    if ([...found.keys()].some((name) => name !== announced.toLowerCase()) || (announced !== "" && found.size === 0))
      throw new S3Answer("InvalidRequest", "The trailers are not those that x-amz-trailer announces");
    if (this.#isSigned && announced !== "") {
      const text = [...found].map(([name, value]) => `${name}:${value}\n`).join("");
      this.#check("TRAILER", sha256(text), signature ?? "");
    }
    return found;
  }

  #check(kind: "PAYLOAD" | "TRAILER", hashes: string, signature: string): void {
    const { time, scope } = this.#signed;
    const toSign = `AWS4-HMAC-SHA256-${kind}\n${time}\n${scopeText(scope)}\n${this.#last}\n${hashes}`;
    this.#last = hmac(this.#key, toSign).toString("hex");
    if (this.#last !== signature) throw new S3Answer("SignatureDoesNotMatch");
  }

  #line(): string {
    const end = this.#body.indexOf("\r\n", this.#at);
    if (end === -1 || end - this.#at > MAX_LINE) throw new S3Answer("IncompleteBody");
    const line = this.#body.toString("latin1", this.#at, end);
    this.#at = end + 2;
    return line;
  }
}

const HEX = /^[0-9a-f]{64}$/;
const CHUNK_HEAD = /^([0-9a-fA-F]{1,8})(?:;chunk-signature=([0-9a-f]{64}))?$/;
const MAX_LINE = 4096;
const NO_TRAILERS: ReadonlyMap<string, string> = new Map();
const PAYLOADS: ReadonlySet<string> = new Set([
  "UNSIGNED-PAYLOAD",
  "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
  "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
  "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
]);
