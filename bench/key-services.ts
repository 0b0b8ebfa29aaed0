import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { type Row, tableOf } from "./harness.ts";

/**
 * A wrap through each provider and through the service's own client, against a bare `fetch` of the bytes that our provider sends. Emulator
 * and contestants are in processes of their own, so that the emulator's work does not count and all trust its certificate.
 */
export async function keyServiceTable(): Promise<string> {
  const folder = mkdtempSync(join(import.meta.dirname, ".keys-"));
  const rows: Row[] = [];
  try {
    for (const service of SERVICES) {
      const emulator = await startedEmulator(service, folder);
      try {
        rows.push(...(await contestRows(service, emulator)));
      } finally {
        emulator.process.kill("SIGTERM");
        await once(emulator.process, "exit");
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return tableOf(rows);
}

interface StartedEmulator {
  readonly process: ChildProcess;
  readonly caFile: string;
  /** What `envelock dev` printed. */
  readonly line: string;
}

async function startedEmulator(service: string, folder: string): Promise<StartedEmulator> {
  const caFile = join(folder, `${service}.pem`);
  const cli = join(import.meta.dirname, "../dist/cli.js");
  const args = [cli, "dev", service, "--key", "orders", "--ca-out", caFile, "--json"];
  if (service === "gcp-kms-emulator") args.push("--token-out", join(folder, "token"));
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(createInterface(child.stdout), "line");
  return { process: child, caFile, line: `${line}` };
}

async function contestRows(service: string, { caFile, line }: StartedEmulator): Promise<readonly Row[]> {
  const script = join(import.meta.dirname, "key-services-child.ts");
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: caFile };
  const args = ["--no-flush-bytecode", "--no-deprecation", "--import", "tsx", script, service, line, caFile];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env });
  return JSON.parse(stdout);
}

const SERVICES = ["aws-kms-emulator", "gcp-kms-emulator", "vault-emulator"];
