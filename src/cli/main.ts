#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { addBlobs } from "./blobs/blobs.ts";
import { addCompletion } from "./completion.ts";
import { addDecrypt } from "./decrypt.ts";
import { addDev } from "./dev.ts";
import { addDoctor } from "./doctor.ts";
import { addEncrypt } from "./encrypt.ts";
import { chooseEngine } from "./engine.ts";
import { exitCodeOf, nameCommand, tellFailure } from "./failure.ts";
import { addHsm } from "./hsm.ts";
import { addInspect } from "./inspect.ts";
import { addJobs } from "./jobs/jobs.ts";
import { addKeygen } from "./keygen.ts";
import { addKeys } from "./keys/keys.ts";
import { addLs } from "./ls.ts";
import { commandPathOf, misspeltOption } from "./misspelt.ts";
import { addRewrap } from "./rewrap.ts";
import { addTenants } from "./tenants/tenants.ts";
import { addVerify } from "./verify.ts";

await main();

async function main(): Promise<void> {
  process.stdout.on("error", () => {}); // a reader that went away, such as `head`: our own writes report it, help need not
  let isDebug = false;
  const program = new Command("envelock")
    .description("Envelope encryption of files, under keys of your own.")
    .version(ownVersion())
    .exitOverride()
    .configureOutput({ outputError: () => {} }) // errors are written below, all in one form
    .hook("preAction", (_program, command) => {
      isDebug = command.getOptionValue("debug") === true;
      chooseEngine();
    });
  for (const addVerb of [
    addKeygen,
    addEncrypt,
    addDecrypt,
    addRewrap,
    addVerify,
    addInspect,
    addLs,
    addKeys,
    addJobs,
    addBlobs,
    addTenants,
    addHsm,
    addDoctor,
    addDev,
    addCompletion,
  ])
    addVerb(program);
  program.addHelpText(
    "after",
    `
Exit codes: 0 done, 1 failed (or stale, with rewrap --check; or ill, with doctor), 2 wrong command line, 141 the reader of
standard output has gone.
Errors go to standard error as "envelock: <code>: <message>".`,
  );
  nameCommand(commandPathOf(program, process.argv.slice(2)));
  try {
    await program.parseAsync();
  } catch (thrown) {
    const error = misspeltOption(thrown, program, process.argv.slice(2)) ?? thrown;
    const isHelp = error instanceof CommanderError && (error.exitCode === 0 || error.code === "commander.help");
    process.exitCode = isHelp && error.exitCode === 0 ? 0 : exitCodeOf(error);
    if (!isHelp) tellFailure(error, isDebug);
  }
}

/** Of the package that this file was installed with. */
function ownVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  const version = typeof manifest === "object" && manifest !== null && "version" in manifest ? manifest.version : undefined;
  return typeof version === "string" ? version : "unknown";
}
