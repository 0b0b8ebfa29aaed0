import { badParameter, forbidden, throttled } from "./answer.ts";
import { recoveryOf } from "./key-bundle.ts";
import { pageOf } from "./pages.ts";
import type { StoredSecret } from "./secret-store.ts";
import type { Vault, VaultCall } from "./vault.ts";

export function readSecret({ vault, name, version }: VaultCall): object {
  const secret = vault.secrets.version(name, version);
  if (vault.limits?.takeSecret() === false) throw throttled(vault.retryAfterSeconds);
  if (!secret.enabled) throw forbidden("SecretDisabled", {}, "The secret is disabled.");
  return { value: secret.value, ...itemOf(vault, name, secret) };
}

export function setSecret({ vault, name, body }: VaultCall): object {
  const value = body.text("value");
  if (value === undefined) throw badParameter("A secret has a value.");
  const attributes = body.object("attributes");
  const secret = vault.secrets.add(name, value, {
    contentType: body.text("contentType"),
    enabled: attributes.flag("enabled"),
    nbf: attributes.number("nbf"),
    exp: attributes.number("exp"),
    tags: body.pairs("tags"),
  });
  return { value, ...itemOf(vault, name, secret) };
}

export function listVersions(call: VaultCall): object {
  const { vault, name } = call;
  const items = vault.secrets.versions(name).map((secret) => itemOf(vault, name, secret));
  return pageOf(items, `/secrets/${name}/versions`, call);
}

function itemOf(vault: Vault, name: string, { id, contentType, enabled, nbf, exp, created, updated, tags }: StoredSecret): object {
  const attributes = { enabled, nbf, exp, created, updated, ...recoveryOf(vault) };
  return { id: `${vault.url}/secrets/${name}/${id}`, ...(contentType !== undefined && { contentType }), attributes, ...(tags && { tags }) };
}
