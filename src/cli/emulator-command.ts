import { resolve } from "node:path";
import { type Command, Option } from "commander";
import { utf8 } from "../core/base/bytes.ts";
import type { LogEntry } from "../testing/emulator/loopback-server.ts";
import { columns } from "./columns.ts";
import { usageError } from "./failure.ts";
import { addDebugOption, collect, portOf } from "./options.ts";
import { NEW_FILE_MODE, openOutput, printLines } from "./output.ts";
import { terminalText } from "./terminal-text.ts";

/** The options of every `envelock dev …-emulator`. */
export interface EmulatorOptions {
  readonly port?: number;
  readonly key?: readonly string[];
  readonly fault?: readonly string[];
  readonly caOut?: string;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

export interface EmulatorCommand {
  readonly name: string;
  readonly summary: string;
  /** What it emulates. */
  readonly service: string;
  /** What it keeps in memory. Default: keys. */
  readonly keeps?: string;
  /** The option that makes a key, or what else it keeps. */
  readonly key: readonly [flags: string, meaning: string];
  /** What the pattern of a fault is matched with, such as `METHOD /path`. */
  readonly faultsBy: string;
  /** The names of its own faults. */
  readonly faults: readonly string[];
  readonly example: string;
}

/** Adds a command with the options that all emulators have; the caller adds its own, and the action. */
export function addEmulatorCommand(dev: Command, given: EmulatorCommand): Command {
  const { name, summary, service, keeps = "keys", key, faultsBy, faults, example } = given;
  const command = dev
    .command(name)
    .summary(summary)
    .description(
      `Runs an emulator of ${service} on 127.0.0.1 until it is ended with SIGINT or SIGTERM. It keeps ${keeps} in memory alone, and serves every ` +
        "program on this machine that can reach its port.",
    )
    .addOption(new Option("-p, --port <port>", "where to listen (default: any port that is free)").argParser(portOf))
    .addOption(new Option(...key).argParser(collect))
    .addOption(
      new Option("--fault <name[@text]>", `fail the next request whose ${faultsBy} contains the text (repeatable)`).argParser(collect),
    )
    .option("--ca-out <file>", "write the authority that signed its certificate, in PEM, in place of what is there")
    .option("--json", "print what is needed to reach it as one line of JSON")
    .option("--verbose", "print each request to standard error");
  addDebugOption(command);
  return command.addHelpText(
    "after",
    `
Faults: reset, hang, cut, endless, garbage, slow:<ms>, ${faults.join(", ")}.

Example:
  envelock dev ${name} ${example}`,
  );
}

/** What reaches an emulator, in JSON and for a person. */
export interface Reach {
  readonly json: Readonly<Record<string, unknown>>;
  readonly rows: readonly (readonly [label: string, value: string])[];
  /** What another process needs to reach it. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface Served<Emulator> {
  start(): Promise<Emulator>;
  /** Fails the next request that matches. @returns false for a name that is no fault */
  order(emulator: Emulator, fault: string, on: RegExp): boolean;
  /** Makes what the options name. @param caFile where the authority was written */
  prepare(emulator: Emulator, caFile: string | undefined): Promise<Reach> | Reach;
}

/** Runs an emulator until the process is told to end. @param name of the command */
export async function serveEmulator<Emulator extends { readonly ca: string; close(): Promise<void> }>(
  name: string,
  { caOut, json, fault = [] }: EmulatorOptions,
  { start, order, prepare }: Served<Emulator>,
): Promise<void> {
  const ended = new Promise<void>((end) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => end());
  });
  const emulator = await start();
  try {
    const reach = await prepare(emulator, caOut === undefined ? undefined : resolve(caOut));
    for (const spec of fault) {
      const [faultName, on] = faultOf(spec);
      if (!order(emulator, faultName, on)) throw usageError(`no fault is called "${faultName}"`, `envelock dev ${name} --help lists them`);
    }
    if (caOut !== undefined) await openOutput({ out: caOut, force: true }, NEW_FILE_MODE)([utf8(emulator.ca)]);
    const { environment } = reach;
    const rows = [...reach.rows, ...Object.entries(environment).map(([variable, value]) => ["set", `${variable}=${terminalText(value)}`])];
    await printLines(json === true ? JSON.stringify({ ...reach.json, environment }) : columns(rows));
    await ended;
  } finally {
    await emulator.close();
  }
}

/** The options that every emulator's `start` takes. */
export function startOptions<Entry extends LogEntry>(
  { port, verbose }: EmulatorOptions,
  tell: (entry: Entry) => readonly (string | undefined)[],
): { readonly port?: number; readonly onRequest?: (entry: Entry) => void } {
  const onRequest = (entry: Entry): void => {
    const words = [entry.path, entry.isAbandoned ? "abandoned" : entry.status, ...tell(entry).map((word) => word ?? "-")];
    process.stderr.write(`${terminalText(words.join(" "))}\n`);
  };
  return { ...(port !== undefined && { port }), ...(verbose === true && { onRequest }) };
}

/** A fault and what it is for: `name@text`. */
function faultOf(spec: string): readonly [name: string, on: RegExp] {
  const at = spec.indexOf("@");
  const text = at === -1 ? "" : spec.slice(at + 1);
  return [at === -1 ? spec : spec.slice(0, at), new RegExp(text.replaceAll(/[^\w/ -]/g, "\\$&"))];
}
