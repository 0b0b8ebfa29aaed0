import type { OptionNames } from "../../src/core/base/options.ts";
import type { HttpOptions } from "../http/http-service.ts";
import type { AwsCredentialSource } from "./credentials.ts";

/** How to reach the key service of a region. */
export interface AwsConnectionOptions extends HttpOptions {
  readonly credentials: AwsCredentialSource;
  /** Whether the endpoint with validated cryptography is called. Beside `endpoint` it counts for logins alone. Default false. */
  readonly fips?: boolean;
  /** Whether the endpoint with IPv6 is called. Beside `endpoint` it counts for logins alone. Default false. */
  readonly dualStack?: boolean;
  /** Another origin than the region's own, such as that of a VPC endpoint: `https://vpce-….kms.eu-central-1.vpce.amazonaws.com`. */
  readonly endpoint?: string;
}

/** The names of {@link AwsConnectionOptions}, for the tables of what extends them. */
export const CONNECTION_OPTIONS: OptionNames<AwsConnectionOptions> = {
  credentials: true,
  fips: true,
  dualStack: true,
  endpoint: true,
  fetch: true,
  timeoutMs: true,
  clock: true,
};
