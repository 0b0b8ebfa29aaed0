import { EnvelockError } from "../../src/core/base/errors.ts";
import { textFieldOf } from "../http/fields.ts";
import { wordOf } from "../http/transport-failures.ts";
import type { GcpConnection } from "./connection.ts";
import { brokenAnswer } from "./failures.ts";

/** Reads a version. @throws `key-disabled`, `key-not-found` or `unavailable` unless it is enabled */
export async function requireUsable(connection: GcpConnection, version: string, signal: AbortSignal | undefined): Promise<void> {
  const answer = await connection.call({ operation: "get-version", name: version }, signal);
  if (textFieldOf(answer, "name") !== version) throw brokenAnswer("get-version", version, "names another version");
  const state = wordOf(textFieldOf(answer, "state")) ?? "unknown";
  if (state === "ENABLED") return;
  const says = `${version} is not enabled: its state is ${state}`;
  if (state === "DESTROYED") throw new EnvelockError("key-not-found", says, { detail: "destroyed" });
  if (/^PENDING_(?:GENERATION|IMPORT)$/.test(state)) throw new EnvelockError("unavailable", says, { detail: "pending" });
  throw new EnvelockError("key-disabled", says, { detail: state === "DESTROY_SCHEDULED" ? "destroy-scheduled" : "disabled" });
}
