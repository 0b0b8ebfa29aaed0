import { resolve } from "node:path";
import type { Command } from "commander";
import { utf8 } from "../core/base/bytes.ts";
import { NEW_FILE_MODE, openOutput } from "./output.ts";

/** The options of emulators of Google's services. */
export interface TokenOptions {
  readonly tokenOut?: string;
}

export function addTokenOption(command: Command): Command {
  return command.option("--token-out <file>", "write an access token that may do everything, in place of what is there");
}

/** Writes the token where the options say so. @returns the variables by which `gcloud` finds it, and the authority */
export async function writtenToken(
  { tokenOut }: TokenOptions,
  token: string,
  caFile: string | undefined,
): Promise<Readonly<Record<string, string>>> {
  if (tokenOut !== undefined) await openOutput({ out: tokenOut, force: true }, NEW_FILE_MODE)([utf8(`${token}\n`)]);
  return {
    ...(tokenOut !== undefined && { CLOUDSDK_AUTH_ACCESS_TOKEN_FILE: resolve(tokenOut) }),
    ...(caFile !== undefined && { CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE: caFile }),
  };
}
