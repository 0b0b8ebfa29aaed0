import { invalidArgument } from "../../src/core/base/errors.ts";
import { type OptionNames, refuseUnknown } from "../../src/core/base/options.ts";
import { loginAt } from "./login-steps.ts";
import type { VaultLogin } from "./tokens.ts";

export interface AppRoleOptions {
  readonly roleId: string;
  /** The secret id, or a function that is asked for it at each login. */
  readonly secretId: string | (() => Promise<string>);
  /** Default `approle`. */
  readonly mount?: string;
}

export interface JwtLoginOptions {
  readonly role: string;
  /** Gives the token that proves the identity. It is asked at each login, because such tokens are replaced. */
  readonly jwt: () => Promise<string>;
  /** Default `kubernetes` for {@link kubernetesLogin}, `jwt` for {@link jwtLogin}. */
  readonly mount?: string;
}

/**
 * A login by AppRole.
 *
 * @throws `invalid-argument`
 * @example
 * ```ts
 * import { readFile } from "node:fs/promises";
 * import { appRole, vaultTransitKey } from "envelock/providers/vault";
 *
 * const token = appRole({ roleId: "6a1f…", secretId: () => readFile("/run/secrets/vault-secret-id", "utf8") });
 * const key = vaultTransitKey({ address: "https://vault.example:8200", token, key: "orders" });
 * ```
 */
export function appRole(options: AppRoleOptions): VaultLogin {
  refuseUnknown(options, APP_ROLE_OPTIONS, "appRole");
  const { roleId, secretId, mount = "approle" } = options;
  if (typeof roleId !== "string" || (typeof secretId !== "string" && typeof secretId !== "function")) {
    throw invalidArgument("an AppRole login needs roleId and secretId");
  }
  return loginAt(mount, async () => ({
    role_id: roleId,
    secret_id: (typeof secretId === "string" ? secretId : await secretId()).trim(),
  }));
}

/**
 * A login of a Kubernetes pod by its service-account token.
 *
 * @throws `invalid-argument`
 * @example
 * ```ts
 * import { readFile } from "node:fs/promises";
 * import { kubernetesLogin } from "envelock/providers/vault";
 *
 * const path = "/var/run/secrets/kubernetes.io/serviceaccount/token";
 * const token = kubernetesLogin({ role: "orders", jwt: () => readFile(path, "utf8") });
 * ```
 */
export function kubernetesLogin(options: JwtLoginOptions): VaultLogin {
  refuseUnknown(options, JWT_OPTIONS, "kubernetesLogin");
  return jwtLoginAt({ mount: "kubernetes", ...options });
}

/**
 * A login by a JWT of an identity provider, such as a CI system's or a cloud's workload identity.
 *
 * @throws `invalid-argument`
 * @example
 * ```ts
 * import { jwtLogin } from "envelock/providers/vault";
 *
 * export const loginWith = (idToken: () => Promise<string>) => jwtLogin({ role: "orders", jwt: idToken });
 * ```
 */
export function jwtLogin(options: JwtLoginOptions): VaultLogin {
  refuseUnknown(options, JWT_OPTIONS, "jwtLogin");
  return jwtLoginAt({ mount: "jwt", ...options });
}

function jwtLoginAt({ role, jwt, mount }: Required<JwtLoginOptions>): VaultLogin {
  if (typeof role !== "string" || typeof jwt !== "function") throw invalidArgument("a login by JWT needs a role and a function jwt");
  return loginAt(mount, async () => ({ role, jwt: (await jwt()).trim() }));
}

const APP_ROLE_OPTIONS: OptionNames<AppRoleOptions> = { roleId: true, secretId: true, mount: true };
const JWT_OPTIONS: OptionNames<JwtLoginOptions> = { role: true, jwt: true, mount: true };
