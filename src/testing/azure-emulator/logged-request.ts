import type { LogEntry } from "../emulator/loopback-server.ts";

/** One request, as the audit log records it. */
export interface LoggedRequest extends LogEntry {
  /** Whether the request had a token, valid or not. */
  readonly hasToken: boolean;
  /** The `x-ms-request-id` of the answer. */
  readonly requestId: string;
  readonly clientRequestId: string | undefined;
  /** The principal, if its token was valid. */
  principal: string | undefined;
  /** The name in the service's audit log, such as `KeyUnwrap`; undefined if the request was refused before. */
  operationName: string | undefined;
}
