import type { OptionNames } from "../../src/core/base/options.ts";
import type { HttpOptions } from "../http/http-service.ts";
import type { VaultTokenSource } from "./tokens.ts";

/** How to reach a Vault or OpenBao server. */
export interface VaultConnectionOptions extends HttpOptions {
  /** The origin of the server, such as `https://vault.example:8200`. */
  readonly address: string;
  readonly token: VaultTokenSource;
  /** The namespace, such as `team-a`. Default: the root namespace. */
  readonly namespace?: string;
}

/** The names of {@link VaultConnectionOptions}, for the tables of what extends them. */
export const CONNECTION_OPTIONS: OptionNames<VaultConnectionOptions> = {
  address: true,
  token: true,
  namespace: true,
  fetch: true,
  timeoutMs: true,
  clock: true,
};
