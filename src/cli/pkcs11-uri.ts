import { type Pkcs11Token, type Pkcs11TokenOptions, parsePkcs11Uri, pkcs11Token } from "../../providers/pkcs11/index.ts";
import { pinOf } from "./pin.ts";

/**
 * What a `pkcs11:` argument stands for. The library's path may be left to the environment, as may what NSS wants at its start.
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

/** The token that the URI names, for as long as `use` takes. */
export async function withToken<T>(uri: string, use: (token: Pkcs11Token) => Promise<T>): Promise<T> {
  const token = pkcs11Token(pkcs11Options(uri));
  try {
    return await use(token);
  } finally {
    await token.close();
  }
}
