import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { VaultToken, VaultTransitKeyOptions } from "../../providers/vault/index.ts";
import { EnvelockError } from "../core/base/errors.ts";
import { httpsFetch } from "../core/base/https-fetch.ts";
import { usageError } from "./failure.ts";

/**
 * How to reach the key that `vault:<address>/<mount>/<key>` names. Token, namespace and authority come from where Vault's own command
 * has them: VAULT_TOKEN or ~/.vault-token, VAULT_NAMESPACE, VAULT_CACERT.
 *
 * @param location what follows `vault:`
 * @throws `invalid-argument`
 */
export async function vaultKeyOptions(location: string): Promise<VaultTransitKeyOptions> {
  const [, address, mount, key] = /^(https?:\/\/[^/]+)\/(.+)\/([^/]+)$/.exec(location) ?? [];
  if (address === undefined || mount === undefined || key === undefined) {
    throw usageError(
      `"vault:${location}" names no transit key`,
      "name it as vault:https://<host>:8200/<mount>/<key>, such as vault:https://vault.example:8200/transit/orders",
    );
  }
  const { VAULT_NAMESPACE: namespace } = process.env;
  return {
    address,
    mount,
    key,
    token: vaultTokenSource,
    ...(namespace !== undefined && namespace !== "" && { namespace }),
    ...(await vaultAuthority()),
  };
}

/** The token of the environment, read at each call. */
export async function vaultTokenSource(): Promise<VaultToken> {
  return { token: await vaultToken() };
}

/** The authority that VAULT_CACERT names, as an option of a connection. */
export async function vaultAuthority(): Promise<Pick<VaultTransitKeyOptions, "fetch">> {
  const { VAULT_CACERT: caFile } = process.env;
  return caFile === undefined || caFile === "" ? {} : { fetch: httpsFetch({ ca: await authorityIn(caFile) }) };
}

async function vaultToken(): Promise<string> {
  const { VAULT_TOKEN: token } = process.env;
  if (token !== undefined && token !== "") return token;
  try {
    return (await readFile(join(homedir(), ".vault-token"), "utf8")).trim();
  } catch (cause) {
    throw new EnvelockError("access-denied", "there is no token for Vault", {
      detail: "credential",
      hint: "run `vault login`, or set VAULT_TOKEN",
      cause,
    });
  }
}

async function authorityIn(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new EnvelockError("invalid-argument", `the file that VAULT_CACERT names cannot be read: ${path}`, { cause });
  }
}
