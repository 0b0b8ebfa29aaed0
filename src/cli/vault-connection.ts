import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { VaultToken, VaultTransitKeyOptions } from "../../providers/vault/index.ts";
import { EnvelockError } from "../core/base/errors.ts";
import { httpsFetch } from "../core/base/https-fetch.ts";
import { environmentFile, environmentVariable } from "./environment.ts";
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
  const namespace = environmentVariable("VAULT_NAMESPACE");
  return {
    address,
    mount,
    key,
    token: vaultTokenSource,
    ...(namespace !== undefined && { namespace }),
    ...(await vaultAuthority()),
  };
}

/** The token of the environment, read at each call. */
export async function vaultTokenSource(): Promise<VaultToken> {
  return { token: await vaultToken() };
}

/** The authority that VAULT_CACERT names, as an option of a connection. */
export async function vaultAuthority(): Promise<Pick<VaultTransitKeyOptions, "fetch">> {
  const authority = await environmentFile("VAULT_CACERT");
  return authority === undefined ? {} : { fetch: httpsFetch({ ca: authority }) };
}

async function vaultToken(): Promise<string> {
  const token = environmentVariable("VAULT_TOKEN");
  if (token !== undefined) return token;
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
