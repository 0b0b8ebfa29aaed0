import { EnvelockError } from "../../src/core/base/errors.ts";
import { textFieldOf } from "../http/fields.ts";
import { wordOf } from "../http/transport-failures.ts";
import type { GcpConnection } from "./connection.ts";
import { brokenAnswer, meaningOfState } from "./failures.ts";

/** Reads a version. @throws `key-disabled`, `key-not-found` or `unavailable` unless it is enabled */
export async function requireUsable(connection: GcpConnection, version: string, signal: AbortSignal | undefined): Promise<void> {
  const answer = await connection.call({ operation: "get-version", name: version }, signal);
  if (textFieldOf(answer, "name") !== version) throw brokenAnswer("get-version", version, "names another version");
  const state = wordOf(textFieldOf(answer, "state")) ?? "unknown";
  if (state === "ENABLED") return;
  const { code, ...more } = meaningOfState(state);
  throw new EnvelockError(code, `${version} is not enabled: its state is ${state}`, more);
}
