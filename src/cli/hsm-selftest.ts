import type { Command } from "commander";
import { type Pkcs11TestResult, parsePkcs11Uri } from "../../providers/pkcs11/index.ts";
import { EnvelockError } from "../core/base/errors.ts";
import { columns } from "./columns.ts";
import { addDebugOption, addJsonOption, type JsonOptions } from "./options.ts";
import { printLines } from "./output.ts";
import { addLoginOption, type LoginOptions, withToken } from "./pkcs11-uri.ts";
import { terminalJson, terminalText } from "./terminal-text.ts";

export function addHsmSelftest(hsm: Command): void {
  const command = hsm
    .command("selftest")
    .summary("find out what works on a token")
    .description(
      "Wraps and unwraps with each mechanism as encrypting does, and says which work and how long they take. Run it first on a new HSM. " +
        "With object= or id= in the URI it tries that key. Without, the token makes keys for it: objects of the session, or where the " +
        "token makes none, objects named envelock-selftest that are deleted again.",
    )
    .argument("<uri>", "pkcs11: URI of a token, or of a key on it");
  addLoginOption(command);
  addJsonOption(command);
  addDebugOption(command);
  command.action(selftest);
}

async function selftest(uri: string, options: JsonOptions & LoginOptions): Promise<void> {
  const { object, id } = parsePkcs11Uri(uri);
  const key = { ...(object !== undefined && { label: object }), ...(id !== undefined && { id }) };
  const results = await withToken(uri, options, (token) => token.selfTest(Object.keys(key).length === 0 ? {} : { key }));
  await printLines(options.json === true ? terminalJson(results) : resultTable(results));
  if (results.some(({ failure }) => failure === undefined)) return;
  const hasTried = results.some(({ key: tried }) => tried !== undefined);
  throw new EnvelockError("provider-failure", hasTried ? "no mechanism works on this token" : "no mechanism could be tried on this token", {
    hint: hasTried
      ? "see the result of each mechanism above"
      : "the token makes no test keys: name a key by object= in the URI, or make one with the vendor's tool",
  });
}

function resultTable(results: readonly Pkcs11TestResult[]): string {
  const rows = results.map(({ mechanism, wrapMs, unwrapMs, key = "", failure, meaning }) => [
    mechanism,
    milliseconds(wrapMs),
    milliseconds(unwrapMs),
    key,
    failure === undefined ? meaning : terminalText(`${meaning} (${failure})`),
  ]);
  return columns([["mechanism", "wrap", "unwrap", "key", "result"], ...rows]);
}

function milliseconds(ms: number | undefined): string {
  return ms === undefined ? "" : `${ms.toFixed(2)} ms`;
}
