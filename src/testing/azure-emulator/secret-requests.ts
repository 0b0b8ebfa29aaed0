import { badParameter, forbidden, throttled } from "./answer.ts";
import { deletionOf, keyIdOf, recoveryOf } from "./key-bundle.ts";
import { pageOf } from "./pages.ts";
import { changeVersion, type Deleted } from "./recoverable-objects.ts";
import { requireOwnSecret, type SecretVersions, type StoredSecret } from "./secret-store.ts";
import type { Vault, VaultCall } from "./vault.ts";

export function readSecret({ vault, name, version }: VaultCall): object {
  const secret = vault.secrets.version(name, version);
  if (vault.limits?.takeSecret() === false) throw throttled(vault.retryAfterSeconds);
  if (!secret.enabled) throw forbidden("SecretDisabled", {}, "The secret is disabled.");
  const { isManaged } = vault.secrets.find(name);
  return { value: secret.value, ...itemOf(vault, name, secret), ...(isManaged && { managed: true, kid: keyIdOf(vault, name, secret.id) }) };
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

export function updateSecret({ vault, name, version, body }: VaultCall): object {
  requireOwnSecret(vault.secrets.find(name));
  const secret = vault.secrets.version(name, version);
  const attributes = body.object("attributes");
  const changes = { enabled: attributes.flag("enabled"), nbf: attributes.number("nbf"), exp: attributes.number("exp") };
  changeVersion(secret, changes, vault.nowSeconds);
  return itemOf(vault, name, secret);
}

export function listSecrets(call: VaultCall): object {
  const { vault } = call;
  const items = vault.secrets.all.flatMap((secret) => newestOf(vault, secret));
  return pageOf(items, "/secrets", call);
}

export function listVersions(call: VaultCall): object {
  const { vault, name } = call;
  const { versions, isManaged } = vault.secrets.find(name);
  const items = versions.map((secret) => ({ ...itemOf(vault, name, secret), ...(isManaged && { managed: true }) }));
  return pageOf(items, `/secrets/${name}/versions`, call);
}

export function deleteSecret({ vault, name }: VaultCall): object {
  requireOwnSecret(vault.secrets.find(name));
  return deletedItem(vault, vault.secrets.delete(name));
}

export function listDeletedSecrets(call: VaultCall): object {
  const { vault } = call;
  const items = vault.secrets.allDeleted.map((deleted) => deletedItem(vault, deleted));
  return pageOf(items, "/deletedsecrets", call);
}

export function readDeletedSecret({ vault, name }: VaultCall): object {
  return deletedItem(vault, vault.secrets.findDeleted(name));
}

export function recoverSecret({ vault, name }: VaultCall): object {
  requireOwnSecret(vault.secrets.findDeleted(name).item);
  const [item = {}] = newestOf(vault, vault.secrets.recover(name));
  return item;
}

export function purgeSecret({ vault, name }: VaultCall): undefined {
  requireOwnSecret(vault.secrets.findDeleted(name).item);
  vault.secrets.purge(name);
}

/** A deleted secret, without its value. */
function deletedItem(vault: Vault, deleted: Deleted<SecretVersions>): object {
  const { name } = deleted.item;
  return { ...deletionOf(vault, `deletedsecrets/${name}`, deleted), ...newestOf(vault, deleted.item)[0] };
}

function newestOf(vault: Vault, { name, versions, isManaged }: SecretVersions): readonly object[] {
  const newest = versions.at(-1);
  return newest === undefined ? [] : [{ ...itemOf(vault, name, newest), ...(isManaged && { managed: true }) }];
}

function itemOf(vault: Vault, name: string, { id, contentType, enabled, nbf, exp, created, updated, tags }: StoredSecret): object {
  const attributes = { enabled, nbf, exp, created, updated, ...recoveryOf(vault) };
  return { id: `${vault.url}/secrets/${name}/${id}`, ...(contentType !== undefined && { contentType }), attributes, ...(tags && { tags }) };
}
