import type { KeyClientOptions } from "@azure/keyvault-keys";
import { concatBytes, isBytes } from "../../../src/core/base/bytes.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";

type PipelinePolicy = NonNullable<KeyClientOptions["additionalPolicies"]>[number]["policy"];
type PipelineRequest = Parameters<PipelinePolicy["sendRequest"]>[0];
type SendRequest = Parameters<PipelinePolicy["sendRequest"]>[1];
type PipelineResponse = Awaited<ReturnType<PipelinePolicy["sendRequest"]>>;

/** The latest challenge of a vault, kept for clients that have not sent a request yet. */
export interface KnownChallenge {
  headers: PipelineResponse["headers"] | undefined;
}

export interface GuardOptions {
  readonly vaultUrl: string;
  readonly challenge: KnownChallenge;
  /** Called when a request has a token, after which the client has been through its challenge. */
  readonly onAuthorised: () => void;
}

/**
 * The last policy before the wire. It sends nothing to another origin, no body without a token, and no empty body with one. It answers a
 * known challenge itself, which saves each further client a round trip.
 */
export function transportGuard({ vaultUrl, challenge, onAuthorised }: GuardOptions): PipelinePolicy {
  return {
    name: "envelockTransportGuard",
    async sendRequest(request, next) {
      if (new URL(request.url).origin !== vaultUrl) throw refusal("a request to another origin was stopped");
      const isEmpty = request.body === undefined || request.body === null;
      if (!request.headers.has("authorization")) {
        if (!isEmpty) throw refusal("a request that shows its body without a token was stopped");
        if (challenge.headers !== undefined) return { request, status: 401, headers: challenge.headers };
        const response = await boundedAnswer(request, next);
        if (response.status === 401) challenge.headers = response.headers;
        return response;
      }
      if (isEmpty && request.method === "POST") throw refusal("a request that lost its body was stopped");
      onAuthorised();
      const response = await boundedAnswer(request, next);
      if (response.status === 401) challenge.headers = undefined;
      return response;
    },
  };
}

/**
 * Sends the request and reads its answer up to the bound. The SDK itself reads an answer of any length to its end. The request does not
 * accept compression, so that the counted bytes are those that arrive.
 */
async function boundedAnswer(request: PipelineRequest, next: SendRequest): Promise<PipelineResponse> {
  request.headers.delete("accept-encoding");
  request.streamResponseStatusCodes = EVERY_STATUS;
  const response = await next(request);
  const { readableStreamBody, ...answer } = response;
  return readableStreamBody === undefined ? response : { ...answer, bodyAsText: await boundedText(readableStreamBody) };
}

/** Reads the body. Leaving the loop destroys the stream, and with it the connection. */
async function boundedText(body: NodeJS.ReadableStream): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body) {
    if (!isBytes(part)) throw refusal("an answer holds something other than bytes");
    bytes += part.length;
    if (bytes > MAX_ANSWER_BYTES) throw refusal(`an answer of more than ${MAX_ANSWER_BYTES} bytes was cut off`, true);
    parts.push(part);
  }
  return textDecoder.decode(concatBytes(...parts));
}

function refusal(message: string, retryable = false): EnvelockError {
  return new EnvelockError("provider-failure", `key vault client: ${message}`, { detail: "transport", retryable });
}

/** The SDK's key for a status of any kind. */
const EVERY_STATUS: Set<number> = new Set([Number.POSITIVE_INFINITY]);
/** A key, a secret or a page of 25 versions takes less than 25 KiB. */
const MAX_ANSWER_BYTES = 65_536;
const textDecoder = new TextDecoder();
