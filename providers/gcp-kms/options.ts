import type { OptionNames } from "../../src/core/base/options.ts";
import type { HttpOptions } from "../http/http-service.ts";
import type { GcpTokenSource } from "./login.ts";

/** How to reach Cloud KMS. */
export interface GcpConnectionOptions extends HttpOptions {
  readonly token: GcpTokenSource;
  /**
   * The origin of the service. Default `https://cloudkms.googleapis.com`. Set it for a regional endpoint, such as
   * `https://cloudkms.europe-west3.rep.googleapis.com`, for Private Service Connect, and for an emulator.
   */
  readonly endpoint?: string;
}

/** The names of {@link GcpConnectionOptions}, for the tables of what extends them. */
export const CONNECTION_OPTIONS: OptionNames<GcpConnectionOptions> = {
  token: true,
  endpoint: true,
  fetch: true,
  timeoutMs: true,
  clock: true,
};
