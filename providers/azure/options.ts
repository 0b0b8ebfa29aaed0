import type { Clock } from "../../src/core/base/clock.ts";
import { invalidArgument } from "../../src/core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../src/core/base/options.ts";

/** The parts of a credential of `@azure/identity` that are needed here. */
export interface AzureCredential {
  getToken(scopes: string | string[], options?: AzureTokenOptions): Promise<AzureToken | null>;
}

export interface AzureTokenOptions {
  readonly tenantId?: string;
  readonly claims?: string;
  readonly enableCae?: boolean;
  readonly abortSignal?: AbortSignal;
}

export interface AzureToken {
  readonly token: string;
  /** Unix time in milliseconds. */
  readonly expiresOnTimestamp: number;
  readonly refreshAfterTimestamp?: number;
}

/** How to reach a vault or Managed HSM. */
export interface AzureConnectionOptions {
  /** Any credential of `@azure/identity`, or an object of its shape. */
  readonly credential: AzureCredential;
  /**
   * Hosts beside those of the public, China and US Government clouds: `keys.example:8443` for that one, `.vault.example` for every name
   * directly below. An entry gets tokens and data keys, so it must not come from untrusted input.
   */
  readonly allowedHosts?: readonly string[];
  /** The audience of tokens, such as `https://vault.azure.net`. Follows from the host; needed for a single host of `allowedHosts`. */
  readonly tokenResource?: string;
  /** The longest time for one call to the service, in milliseconds. Default 10,000. */
  readonly timeoutMs?: number;
  readonly client?: AzureClientOptions;
  /** Time and timers. Default: the machine's. */
  readonly clock?: Clock;
}

/** The names of {@link AzureConnectionOptions}, for the tables of options that extend them. */
export const CONNECTION_OPTIONS: OptionNames<AzureConnectionOptions> = {
  credential: true,
  allowedHosts: true,
  tokenResource: true,
  timeoutMs: true,
  client: true,
  clock: true,
};

/** The options that the SDK's clients get unchanged. */
export interface AzureClientOptions {
  /** The API version for keys. Default: the SDK's. */
  readonly serviceVersion?: string;
  /** For a vault or proxy whose certificate the machine does not trust. */
  readonly tlsOptions?: { readonly ca?: string | readonly string[] };
  readonly proxyOptions?: { readonly host: string; readonly port: number; readonly username?: string; readonly password?: string };
  /** A prefix of the SDK's user agent. */
  readonly userAgentPrefix?: string;
}

/** @throws `invalid-argument` */
export function checkedClient(client: AzureClientOptions | undefined): AzureClientOptions | undefined {
  if (client !== undefined) refuseUnknown(client, CLIENT_OPTIONS, "client");
  return client;
}

/** @throws `invalid-argument` */
export function checkedCredential(credential: AzureCredential): AzureCredential {
  if (typeof credential?.getToken === "function") return credential;
  throw invalidArgument("credential must be a credential of @azure/identity, or have its getToken");
}

/** @throws `invalid-argument` */
export function checkedMs(what: string, ms: number, leastMs: number): number {
  if (Number.isFinite(ms) && ms >= leastMs && ms <= MAX_MS) return ms;
  throw invalidArgument(`${what} is ${ms}, expected ${leastMs} to ${MAX_MS} milliseconds`);
}

const CLIENT_OPTIONS: OptionNames<AzureClientOptions> = {
  serviceVersion: true,
  tlsOptions: true,
  proxyOptions: true,
  userAgentPrefix: true,
};
export const DEFAULT_TIMEOUT_MS = 10_000;
/** How long the current version is kept, and how old a new one must be. */
export const DEFAULT_VERSION_MS = 600_000;
const MAX_MS = 2 ** 31 - 1;
