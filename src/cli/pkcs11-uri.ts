import type { Command } from "commander";
import { type Pkcs11Token, type Pkcs11TokenOptions, parsePkcs11Uri, pkcs11Token } from "../../providers/pkcs11/index.ts";
import { pinOf } from "./pin.ts";

/** Options of the commands that log in to a token. */
export interface LoginOptions {
  readonly dangerLastPinTry?: boolean;
}

export function addLoginOption(command: Command): Command {
  return command.option("--danger-last-pin-try", "show the PIN also to a token that locks at the next wrong one");
}

/**
 * The options that a `pkcs11:` argument stands for. The library's path may be left to the environment, as may the parameters that NSS
 * wants at its start.
 *
 * @throws `invalid-argument`
 */
export function pkcs11Options(uri: string): Pkcs11TokenOptions {
  const { token, serial, modulePath, pinSource } = parsePkcs11Uri(uri);
  const { ENVELOCK_PKCS11_MODULE: module, ENVELOCK_PKCS11_PARAMETERS: libraryParameters } = process.env;
  return {
    uri,
    ...(modulePath === undefined && module !== undefined && { module }),
    ...(libraryParameters !== undefined && { libraryParameters }),
    pin: pinOf(`"${token ?? serial}"`, pinSource),
  };
}

/** Opens the token that the URI names while `use` runs. */
export async function withToken<T>(
  uri: string,
  { dangerLastPinTry = false }: LoginOptions,
  use: (token: Pkcs11Token) => Promise<T>,
): Promise<T> {
  const token = pkcs11Token({ ...pkcs11Options(uri), dangerLastPinTry });
  try {
    return await use(token);
  } finally {
    await token.close();
  }
}
