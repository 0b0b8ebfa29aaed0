import { invalidArgument } from "../../src/core/base/errors.ts";
import { type OptionNames, refuseUnknown, shownValue } from "../../src/core/base/options.ts";
import type { HttpOptions } from "../http/http-service.ts";
import { type GcpTokenSource, tokensOf } from "./login.ts";

export interface AccessTokenOptions extends HttpOptions {
  /** The scope in full, such as `https://www.googleapis.com/auth/devstorage.read_write`. The metadata server gives those of its machine. */
  readonly scope: string;
}

/**
 * Makes a function that gives access tokens of a login for another service of Google's, such as Cloud Storage: kept, and replaced before
 * they end.
 *
 * @returns a function that takes the token that the service refused, if it did, and gives one that works
 * @throws `invalid-argument`; the function throws `access-denied` and what the login throws
 * @example
 * ```ts
 * import { gcsBlobs } from "envelock/blobs/gcs";
 * import { accessTokens, metadataServer } from "envelock/providers/gcp-kms";
 *
 * const token = accessTokens(metadataServer(), { scope: "https://www.googleapis.com/auth/devstorage.read_write" });
 * const store = gcsBlobs({ bucket: "acme-invoices", token });
 * ```
 */
export function accessTokens(source: GcpTokenSource, options: AccessTokenOptions): (refused?: string) => Promise<string> {
  refuseUnknown(options, OPTIONS, "accessTokens");
  const { scope, ...http } = options;
  if (typeof scope !== "string" || !SCOPE.test(scope)) {
    throw invalidArgument(`scope is ${shownValue(scope)}, expected one such as https://www.googleapis.com/auth/cloud-platform`);
  }
  const tokens = tokensOf(source, http, scope);
  return async (refused) =>
    await tokens.use(
      async ({ token }) => token,
      (token) => token === refused,
    );
}

const SCOPE = /^https:\/\/www\.googleapis\.com\/auth\/[a-z][a-z_.-]{0,60}$/;
const OPTIONS: OptionNames<AccessTokenOptions> = { scope: true, fetch: true, timeoutMs: true, clock: true };
