import { resolve } from "node:path";
import { type Command, Option } from "commander";
import { utf8 } from "../core/base/bytes.ts";
import { isFaultName } from "../testing/aws-kms-emulator/faults.ts";
import type { AwsKmsEmulator, LoggedRequest } from "../testing/aws-kms-emulator/index.ts";
import { isKmsKeySpec } from "../testing/aws-kms-emulator/kms-key.ts";
import { columns } from "./columns.ts";
import { usageError } from "./failure.ts";
import { addDebugOption, collect, portOf } from "./options.ts";
import { NEW_FILE_MODE, openOutput, printLines } from "./output.ts";
import { terminalText } from "./terminal-text.ts";

interface AwsKmsEmulatorOptions {
  readonly port?: number;
  readonly key?: readonly string[];
  readonly fault?: readonly string[];
  readonly caOut?: string;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

export function addAwsKmsEmulator(dev: Command): void {
  const command = dev
    .command("aws-kms-emulator")
    .summary("AWS KMS on this machine, for tests")
    .description(
      "Runs an emulator of AWS KMS and its security token service on 127.0.0.1 until it is ended with SIGINT or SIGTERM. It keeps keys in " +
        "memory alone, and serves every program on this machine that can reach its port.",
    )
    .addOption(new Option("-p, --port <port>", "where to listen (default: any port that is free)").argParser(portOf))
    .addOption(new Option("-k, --key <alias[:spec]>", "make a key with an alias, such as orders:RSA_2048 (repeatable)").argParser(collect))
    .addOption(
      new Option("--fault <name[@text]>", "fail the next request whose METHOD /operation contains the text (repeatable)").argParser(
        collect,
      ),
    )
    .option("--ca-out <file>", "write the authority that signed its certificate, in PEM, in place of what is there")
    .option("--json", "print what is needed to reach it as one line of JSON")
    .option("--verbose", "print each request to standard error");
  addDebugOption(command);
  command.addHelpText(
    "after",
    `
Faults: reset, hang, cut, endless, garbage, slow:<ms>, and errors of the service such as ThrottlingException, DisabledException,
AccessDeniedException, KMSInternalException, ExpiredTokenException.

Example:
  envelock dev aws-kms-emulator --key orders --ca-out emulator.pem`,
  );
  command.action(runAwsKmsEmulator);
}

async function runAwsKmsEmulator({ caOut, json, port, verbose, key = [], fault = [] }: AwsKmsEmulatorOptions): Promise<void> {
  const ended = new Promise<void>((end) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => end());
  });
  const { AwsKmsEmulator } = await import("../testing/aws-kms-emulator/index.ts");
  const emulator = await AwsKmsEmulator.start({
    ...(port !== undefined && { port }),
    ...(verbose === true && { onRequest: printRequest }),
  });
  try {
    const keys = key.map((spec) => makeKey(emulator, spec));
    for (const spec of fault) orderFault(emulator, spec);
    if (caOut !== undefined) await openOutput({ out: caOut, force: true }, NEW_FILE_MODE)([utf8(emulator.ca)]);
    const environment = {
      AWS_ENDPOINT_URL: emulator.url,
      AWS_ACCESS_KEY_ID: emulator.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: emulator.credentials.secretAccessKey,
      ...(caOut !== undefined && { AWS_CA_BUNDLE: resolve(caOut) }),
    };
    const rows = [
      ["server", emulator.url],
      ...keys.map((arn) => ["key", `aws-kms:${arn}`]),
      ...Object.entries(environment).map(([name, value]) => ["set", `${name}=${terminalText(value)}`]),
    ];
    await printLines(json === true ? JSON.stringify({ url: emulator.url, keys, environment }) : columns(rows));
    await ended;
  } finally {
    await emulator.close();
  }
}

/** @returns its ARN */
function makeKey(emulator: AwsKmsEmulator, argument: string): string {
  const [name = "", spec = "SYMMETRIC_DEFAULT"] = argument.split(":");
  if (!isKmsKeySpec(spec) || !/^[\w/-]{1,200}$/.test(name))
    throw usageError(`"${argument}" is not alias:spec`, "a spec is SYMMETRIC_DEFAULT, RSA_2048, RSA_3072 or RSA_4096");
  const arn = emulator.createKey({ spec });
  emulator.setAlias(`alias/${name}`, arn);
  return arn;
}

function orderFault(emulator: AwsKmsEmulator, spec: string): void {
  const at = spec.indexOf("@");
  const name = at === -1 ? spec : spec.slice(0, at);
  if (!isFaultName(name)) throw usageError(`no fault is called "${name}"`, "envelock dev aws-kms-emulator --help lists them");
  const text = at === -1 ? "" : spec.slice(at + 1);
  emulator.failNext(name, new RegExp(text.replaceAll(/[^\w/ -]/g, "\\$&")));
}

function printRequest({ path, status, principal = "-", isAbandoned }: LoggedRequest): void {
  process.stderr.write(`${terminalText(`${path} ${isAbandoned ? "abandoned" : status} ${principal}`)}\n`);
}
