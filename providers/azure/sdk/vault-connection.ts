import type { KeyClientOptions } from "@azure/keyvault-keys";
import { type Clock, systemClock } from "../../../src/core/base/clock.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import { attempt } from "../../http/attempt.ts";
import { type Asked, serviceFailure } from "../failures.ts";
import type { VaultLocation } from "../key-url.ts";
import {
  type AzureClientOptions,
  type AzureConnectionOptions,
  type AzureCredential,
  checkedClient,
  checkedCredential,
  checkedMs,
  DEFAULT_TIMEOUT_MS,
} from "../options.ts";
import { GatedClient } from "./first-call.ts";
import { tokenSource } from "./token-source.ts";
import { type KnownChallenge, transportGuard } from "./transport-guard.ts";

/** The options of each call of the SDK. The SDK adds to the object that it is given, so each call has its own. */
export interface SdkCallOptions {
  readonly abortSignal: AbortSignal;
  readonly onResponse: (response: object) => void;
}

/**
 * Reaches a vault or Managed HSM through the SDK's clients, without harm from their habits: no retry of theirs, no redirect, a time limit,
 * tokens of ours, and a last policy before the wire.
 */
export class VaultConnection {
  readonly location: VaultLocation;
  readonly #credential: AzureCredential;
  readonly #clientOptions: (onAuthorised: () => void) => KeyClientOptions;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  #isClosed = false;

  /** @throws `invalid-argument` */
  constructor(
    location: VaultLocation,
    { credential, timeoutMs = DEFAULT_TIMEOUT_MS, clock = systemClock, ...options }: AzureConnectionOptions,
  ) {
    const client = checkedClient(options.client);
    const { vaultUrl, tokenResource, isKnownCloud } = location;
    const challenge: KnownChallenge = { headers: undefined };
    this.location = location;
    this.#credential = tokenSource(checkedCredential(credential), tokenResource, clock);
    this.#clock = clock;
    this.#timeoutMs = checkedMs("timeoutMs", timeoutMs, 1);
    // The SDK changes the object that it is given, so each client has its own. `tlsOptions` stays one object, because it decides which
    // clients share connections.
    const tlsOptions = client?.tlsOptions === undefined ? undefined : sdkTlsOptions(client.tlsOptions);
    this.#clientOptions = (onAuthorised) => ({
      ...(client?.serviceVersion !== undefined && { serviceVersion: client.serviceVersion }),
      ...(client?.proxyOptions !== undefined && { proxyOptions: { ...client.proxyOptions } }),
      ...(client?.userAgentPrefix !== undefined && { userAgentOptions: { userAgentPrefix: client.userAgentPrefix } }),
      ...(tlsOptions !== undefined && { tlsOptions }),
      retryOptions: { maxRetries: 0 },
      redirectOptions: { maxRetries: 0 },
      disableChallengeResourceVerification: !isKnownCloud, // `tokenSource` holds the challenge to one resource in any case
      additionalPolicies: [{ policy: transportGuard({ vaultUrl, challenge, onAuthorised }), position: "perRetry" }],
    });
  }

  /** Makes a client of the SDK when it is first used. */
  client<Client>(make: (vaultUrl: string, credential: AzureCredential, options: KeyClientOptions) => Promise<Client>): GatedClient<Client> {
    return new GatedClient((onAuthorised) => make(this.location.vaultUrl, this.#credential, this.#clientOptions(onAuthorised)));
  }

  asked(operation: Asked["operation"], of: string): Asked {
    return { operation, of, isManagedHsm: this.location.isManagedHsm };
  }

  /** Makes one call, within its time. @throws `closed`, the caller's reason, and the answer's failure in our codes */
  async call<T>(asked: Asked, signal: AbortSignal | undefined, work: (options: SdkCallOptions) => Promise<T>): Promise<T> {
    this.requireOpen();
    let lastResponse: object | undefined;
    const onResponse = (response: object): void => {
      lastResponse = response;
    };
    const bounds = { clock: this.#clock, timeoutMs: this.#timeoutMs, what: `${asked.operation} with ${asked.of}`, signal };
    try {
      return await attempt(bounds, (abortSignal) => work({ abortSignal, onResponse }));
    } catch (error) {
      signal?.throwIfAborted();
      throw serviceFailure(error, lastResponse, asked);
    }
  }

  /** @throws `closed`; the signal's reason */
  requireOpen(signal?: AbortSignal): void {
    if (this.#isClosed) throw new EnvelockError("closed", "this Azure key has been closed");
    signal?.throwIfAborted();
  }

  close(): void {
    this.#isClosed = true;
  }
}

/** Explains that a package that is loaded when first needed is missing. */
export function missingPackage(name: string, cause: unknown): EnvelockError {
  return new EnvelockError("provider-failure", `this kind of Azure key needs the package ${name}, which did not load`, {
    cause,
    hint: `npm install ${name}`,
  });
}

function sdkTlsOptions({ ca }: NonNullable<AzureClientOptions["tlsOptions"]>): { ca?: string | string[] } {
  if (ca === undefined) return {};
  return { ca: typeof ca === "string" ? ca : [...ca] };
}
