import type { Clock } from "../../core/base/clock.ts";
import type { OptionNames } from "../../core/base/options.ts";
import type { LoggedRequest } from "./logged-request.ts";
import type { Flavour } from "./vault.ts";

export interface EmulatorOptions {
  /** Default `premium`. */
  readonly flavour?: Flavour;
  /** A port on 127.0.0.1. Default: a free one. */
  readonly port?: number;
  /** The source of time. Default: the machine's clock. */
  readonly clock?: Clock;
  /** Whether the documented transaction limits of a vault hold. Default false. */
  readonly hasLimits?: boolean;
  /** Seconds to name in `Retry-After` when a limit is met. Default: none are named, as the service mostly does. */
  readonly retryAfterSeconds?: number;
  /** The delay after which a new version becomes visible. Default 0. */
  readonly replicationLagMs?: number;
  /** Accepted values of `api-version`. Default: those from 7.0 to 2026-04-01. */
  readonly apiVersions?: readonly string[];
  /** Days during which deleted keys, secrets and certificates can be recovered, 7 to 90. Default 90. */
  readonly retentionDays?: number;
  /** The time that a deletion and a recovery take, during which other requests about the object are conflicts. Default 0. */
  readonly transitionMs?: number;
  /** Default false. */
  readonly isPurgeProtected?: boolean;
  /** Emulators of one geography read each other's backups. Default `europe`. */
  readonly geography?: string;
  /** The Entra tenant that issues tokens. Default: a made-up id. */
  readonly tenantId?: string;
  /** Called after each request with its log entry. */
  readonly onRequest?: (request: LoggedRequest) => void;
}

/** The API versions of the data plane until 2026. */
export const API_VERSIONS: readonly string[] = [
  "7.0",
  "7.1",
  "7.2",
  "7.3",
  "7.4",
  "7.5",
  "7.6-preview.1",
  "7.6-preview.2",
  "7.6",
  "2025-06-01-preview",
  "2025-07-01",
  "2026-01-01-preview",
  "2026-04-01",
];
export const TENANT = "11111111-2222-3333-4444-555555555555";

export const EMULATOR_OPTIONS: OptionNames<EmulatorOptions> = {
  flavour: true,
  port: true,
  clock: true,
  hasLimits: true,
  retryAfterSeconds: true,
  replicationLagMs: true,
  apiVersions: true,
  retentionDays: true,
  transitionMs: true,
  isPurgeProtected: true,
  geography: true,
  tenantId: true,
  onRequest: true,
};
