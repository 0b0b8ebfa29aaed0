import type { KeyClientOptions } from "@azure/keyvault-keys";
import { EnvelockError } from "../../../src/core/base/errors.ts";

type PipelinePolicy = NonNullable<KeyClientOptions["additionalPolicies"]>[number]["policy"];
type PipelineResponse = Awaited<ReturnType<PipelinePolicy["sendRequest"]>>;

/** What a vault last asked to be shown, kept for the clients that have not asked yet. */
export interface KnownChallenge {
  headers: PipelineResponse["headers"] | undefined;
}

export interface GuardOptions {
  readonly vaultUrl: string;
  readonly challenge: KnownChallenge;
  /** Called when a request has a token: from then on the client has been through its challenge. */
  readonly onAuthorised: () => void;
}

/**
 * The last policy before the wire. Nothing goes to another origin, no body goes without a token, no empty body goes with one; and a
 * challenge that is known is not asked for again, which saves each further client a round trip.
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
        const response = await next(request);
        if (response.status === 401) challenge.headers = response.headers;
        return response;
      }
      if (isEmpty && request.method === "POST") throw refusal("a request that lost its body was stopped");
      onAuthorised();
      const response = await next(request);
      if (response.status === 401) challenge.headers = undefined;
      return response;
    },
  };
}

function refusal(message: string): EnvelockError {
  return new EnvelockError("provider-failure", `key vault client: ${message}`);
}
