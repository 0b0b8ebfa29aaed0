import { systemClock } from "../../../src/core/base/clock.ts";
import type { RawAnswer } from "../../../src/testing/emulator/fault-plan.ts";
import { type EmulatedService, type LogEntry, LoopbackServer, type ServedRequest } from "../../../src/testing/emulator/loopback-server.ts";

/** A service that answers every request with what it was sent, as JSON. */
class Echo implements EmulatedService<LogEntry, never> {
  readonly name = "echo";

  entryOf(_request: ServedRequest, base: LogEntry): LogEntry {
    return base;
  }

  headersOf(): Readonly<Record<string, string>> {
    return { "content-type": "application/json", date: "Wed, 25 Nov 2026 12:00:00 GMT" };
  }

  async answer({ method, url, headers, body }: ServedRequest): Promise<RawAnswer> {
    return { status: 200, text: JSON.stringify({ method, path: url.pathname, header: headers["x-test"], body }) };
  }

  async meet(): Promise<undefined> {
    return undefined;
  }
}

export async function startEcho(): Promise<LoopbackServer<LogEntry>> {
  const server = new LoopbackServer<LogEntry>(new Echo(), { clock: systemClock });
  await server.listen(0);
  return server;
}
