import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileOfPackages } from "../../support/debian-packages.ts";

/** A module in front of another one that fails when it is told to. */
export interface FaultShim {
  /** The shim's own path, to be used in place of the module's. */
  readonly module: string;
  /** From now on the calls of `functionName`, or of all functions if it is `*`, answer `returnValue` (0: what the module says) after `delayMs`. */
  inject(functionName: string, fault: InjectedFault): void;
  /** No fault any more. */
  heal(): void;
  /** From now on the token is of that kind; of the module's own without an argument. */
  pose(as?: TokenKind): void;
  /** The names of the functions that were called since the last time this was asked. */
  calls(): readonly string[];
  /** How many sessions are open now. */
  openSessions(): number;
}

export interface TokenKind {
  /** Added to those of CK_TOKEN_INFO. */
  readonly flags?: number;
  /** How many sessions a process may have. */
  readonly sessions?: number;
  /** What a TPM refuses of new keys: objects of the session, rights that are false, and sessions that only read. */
  readonly refuses?: readonly ("session objects" | "false rights" | "read-only sessions")[];
}

interface InjectedFault {
  readonly returnValue?: number;
  readonly delayMs?: number;
  /** For how many calls; for ever unless given. */
  readonly times?: number;
}

/**
 * Compiles the shim for a module.
 *
 * @param folder of this process, in which it is controlled; one shim for each
 * @param entry the name under which the module has its functions; NSS has those of FIPS mode under a name of their own
 * @throws Error if there is no C compiler and none may be installed
 */
export function faultShim(module: string, folder: string, entry: string = "C_GetFunctionList"): FaultShim {
  const compiler = fileOfPackages(["/usr/bin/gcc", "/usr/bin/cc"], ["gcc", "libc6-dev"]);
  const headers = join(dirname(createRequire(import.meta.url).resolve("pkcs11js")), "includes/pkcs11");
  const path = join(folder, "fault-shim.so");
  const defines = [`-DMODULE="${module}"`, `-DFOLDER="${folder}"`, `-DENTRY="${entry}"`];
  execFileSync(compiler, ["-shared", "-fPIC", "-O2", `-I${headers}`, ...defines, "-o", path, SOURCE, "-ldl"], { stdio: "pipe" });
  let generation = 0;
  let seenCalls = 0;
  const replace = (name: string, line: string): void => {
    writeFileSync(join(folder, `${name}.next`), `${line}\n`);
    renameSync(join(folder, `${name}.next`), join(folder, name)); // the module reads all of it or nothing
  };
  const write = (line: string): void => replace("fault", `${++generation} ${line}`);
  const read = (name: string): string => (existsSync(join(folder, name)) ? readFileSync(join(folder, name), "utf8") : "");
  return {
    module: path,
    inject: (functionName, { returnValue = 0, delayMs = 0, times = -1 }) => write(`${functionName} ${returnValue} ${delayMs} ${times}`),
    heal: () => write("nothing 0 0 0"),
    pose: ({ flags = 0, sessions = 0, refuses = [] } = {}) =>
      replace("token", `${flags} ${sessions} ${refuses.reduce((sum, what) => sum + REFUSALS[what], 0)}`),
    calls() {
      const all = read("calls").split("\n").slice(0, -1);
      const fresh = all.slice(seenCalls);
      seenCalls = all.length;
      return fresh;
    },
    openSessions: () => Number(read("sessions")),
  };
}

const REFUSALS = { "session objects": 1, "false rights": 2, "read-only sessions": 4 } as const;
const SOURCE: string = join(import.meta.dirname, "fault-shim.c");
