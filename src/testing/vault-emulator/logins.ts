import { randomUUID } from "node:crypto";
import type { Clock } from "../../core/base/clock.ts";
import { badRequest, permissionDenied } from "./answer.ts";
import type { RequestFields } from "./request-fields.ts";
import type { IssuedToken, TokenStore, TokenTraits } from "./tokens.ts";

export interface AppRoleLogin {
  readonly roleId: string;
  readonly secretId: string;
}

interface Role {
  readonly namespace: string;
  readonly traits: TokenTraits;
  /** The required values by field name. */
  readonly proofs: Readonly<Record<string, string>>;
}

/** AppRole, Kubernetes and JWT logins. Each requires a set of fields and gives a token. */
export class LoginMethods {
  readonly #clock: Clock;
  readonly #tokens: TokenStore;
  /** Logins by the path of their mount, such as `approle`. */
  readonly #roles: Map<string, Role[]> = new Map();

  constructor(clock: Clock, tokens: TokenStore) {
    this.#clock = clock;
    this.#tokens = tokens;
  }

  addAppRole(traits: TokenTraits, mount: string): AppRoleLogin {
    const login = { roleId: randomUUID(), secretId: randomUUID() };
    this.#add(mount, { namespace: traits.namespace ?? "", traits, proofs: { role_id: login.roleId, secret_id: login.secretId } });
    return login;
  }

  addJwtRole(role: string, jwt: string, traits: TokenTraits, mount: string): void {
    this.#add(mount, { namespace: traits.namespace ?? "", traits, proofs: { role, jwt } });
  }

  /** Removes every role: the server refuses logins from now on. */
  clear(): void {
    this.#roles.clear();
  }

  /** @returns the `auth` of the answer; undefined for a path that is no login @throws VaultAnswer */
  answer(path: string, namespace: string, fields: RequestFields): object | undefined {
    const [, mount] = /^auth\/(.+)\/login$/.exec(path) ?? [];
    if (mount === undefined) return undefined;
    const roles = this.#roles.get(mount);
    if (roles === undefined) throw permissionDenied();
    const role = roles.find(
      (known) => known.namespace === namespace && Object.entries(known.proofs).every(([name, value]) => fields.text(name) === value),
    );
    if (role === undefined) throw mount.startsWith("approle") ? badRequest("invalid role or secret ID") : permissionDenied();
    return this.authOf(this.#tokens.issue(role.traits));
  }

  authOf(token: IssuedToken): object {
    return {
      client_token: token.id,
      accessor: token.accessor,
      policies: ["default"],
      lease_duration: this.secondsLeft(token),
      renewable: token.isRenewable,
      token_type: token.isRenewable ? "service" : "batch",
    };
  }

  secondsLeft(token: IssuedToken): number {
    return Math.max(0, Math.floor((token.expiresMs - this.#clock.unixMs()) / 1000));
  }

  #add(mount: string, role: Role): void {
    this.#roles.set(mount, [...(this.#roles.get(mount) ?? []), role]);
  }
}
