import type { LogEntry } from "../emulator/loopback-server.ts";

/** One request, as the audit log has it. */
export interface LoggedRequest extends LogEntry {
  /** Whether there was a token, good or not. */
  readonly hasToken: boolean;
  /** What the answer names as `x-ms-request-id`. */
  readonly requestId: string;
  readonly clientRequestId: string | undefined;
  /** Whose token it was, if it was good. */
  principal: string | undefined;
  /** As the service's audit log calls it, such as `KeyUnwrap`; undefined if the request did not get so far. */
  operationName: string | undefined;
}
