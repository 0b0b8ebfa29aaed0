import { randomUUID } from "node:crypto";
import { badParameter } from "./answer.ts";
import { type CertificatePolicy, type CertificateVersion, isKeyUsage, PEM, type StoredCertificate } from "./certificate-store.ts";
import type { JsonFields } from "./json-fields.ts";
import { deletionOf, keyIdOf, recoveryOf } from "./key-bundle.ts";
import { keyKind } from "./key-material.ts";
import { keptKind } from "./key-requests.ts";
import { pageOf } from "./pages.ts";
import type { Deleted } from "./recoverable-objects.ts";
import type { Vault, VaultCall } from "./vault.ts";

/** Makes a certificate at once, so that the operation in the answer is over. */
export async function createCertificate({ vault, name, body }: VaultCall): Promise<object> {
  const enabled = body.object("attributes").flag("enabled");
  await vault.certificates.add(name, policyIn(vault, body.object("policy")), { enabled, tags: body.pairs("tags") });
  return operationOf(vault, name);
}

export function readOperation({ vault, name }: VaultCall): object {
  vault.certificates.find(name);
  return operationOf(vault, name);
}

export function readCertificate({ vault, name, version }: VaultCall): object {
  return bundleOf(vault, vault.certificates.find(name), vault.certificates.version(name, version));
}

export function readPolicy({ vault, name }: VaultCall): object {
  return policyOf(vault, vault.certificates.find(name));
}

export function updateCertificate({ vault, name, version, body }: VaultCall): object {
  const enabled = body.object("attributes").flag("enabled");
  const found =
    enabled === undefined
      ? vault.certificates.version(name, version)
      : vault.certificates.setEnabled(name, version, enabled, vault.nowSeconds);
  return bundleOf(vault, vault.certificates.find(name), found);
}

export function listCertificates(call: VaultCall): object {
  const { vault } = call;
  const items = vault.certificates.all.flatMap(({ name, versions }) => versions.slice(-1).map((newest) => itemOf(vault, name, newest)));
  return pageOf(items, "/certificates", call);
}

export function listVersions(call: VaultCall): object {
  const { vault, name } = call;
  const items = vault.certificates.find(name).versions.map((version) => itemOf(vault, name, version));
  return pageOf(items, `/certificates/${name}/versions`, call);
}

export function deleteCertificate({ vault, name }: VaultCall): object {
  return deletedBundle(vault, vault.certificates.delete(name));
}

export function listDeletedCertificates(call: VaultCall): object {
  const { vault } = call;
  const items = vault.certificates.allDeleted.map((deleted) => ({
    ...deletionOf(vault, `deletedcertificates/${deleted.item.name}`, deleted),
    ...deleted.item.versions.slice(-1).map((newest) => itemOf(vault, deleted.item.name, newest))[0],
  }));
  return pageOf(items, "/deletedcertificates", call);
}

export function readDeletedCertificate({ vault, name }: VaultCall): object {
  return deletedBundle(vault, vault.certificates.findDeleted(name));
}

export function recoverCertificate({ vault, name }: VaultCall): object {
  return newestBundle(vault, vault.certificates.recover(name));
}

export function purgeCertificate({ vault, name }: VaultCall): undefined {
  vault.certificates.purge(name);
}

/** @throws Answer for what this emulator does not make */
export function policyIn(vault: Pick<Vault, "flavour">, policy: JsonFields): CertificatePolicy {
  const key = policy.object("key_props");
  const x509 = policy.object("x509_props");
  const keyUsage = x509.texts("key_usage") ?? ["digitalSignature", "keyEncipherment"];
  const subject = x509.text("subject");
  const validityMonths = x509.number("validity_months") ?? 12;
  if (policy.object("issuer").text("name") !== "Self") throw badParameter("The issuer is Self: there is no other here.");
  if (subject === undefined || !/^CN=[^,]{1,64}$/i.test(subject)) throw badParameter("The subject is a common name, such as CN=orders.");
  if (!keyUsage.every(isKeyUsage)) throw badParameter("A key usage is not known.");
  if (validityMonths < 1 || validityMonths > 1200) throw badParameter("validity_months is 1 to 1200.");
  const kind = keptKind(vault, keyKind(key.text("kty") ?? "RSA", key.number("key_size"), key.text("crv")));
  const reuseKey = key.flag("reuse_key") ?? false;
  const exportable = key.flag("exportable") ?? true;
  if (exportable && kind.type.endsWith("-HSM")) throw badParameter("A key in hardware is not exportable.");
  return { kind, subject, keyUsage, validityMonths, reuseKey, exportable };
}

function operationOf(vault: Vault, name: string): object {
  return {
    id: `${vault.url}/certificates/${name}/pending`,
    issuer: { name: "Self" },
    cancellation_requested: false,
    status: "completed",
    target: `${vault.url}/certificates/${name}`,
    request_id: randomUUID().replaceAll("-", ""),
  };
}

function deletedBundle(vault: Vault, deleted: Deleted<StoredCertificate>): object {
  return { ...deletionOf(vault, `deletedcertificates/${deleted.item.name}`, deleted), ...newestBundle(vault, deleted.item) };
}

function newestBundle(vault: Vault, certificate: StoredCertificate): object {
  const newest = certificate.versions.at(-1);
  return newest === undefined ? {} : bundleOf(vault, certificate, newest);
}

function bundleOf(vault: Vault, certificate: StoredCertificate, version: CertificateVersion): object {
  const { name } = certificate;
  return {
    ...itemOf(vault, name, version),
    kid: keyIdOf(vault, name, version.id),
    sid: `${vault.url}/secrets/${name}/${version.id}`,
    cer: version.bytes.toString("base64"),
    policy: policyOf(vault, certificate),
    pending: { id: `${vault.url}/certificates/${name}/pending` },
  };
}

function itemOf(vault: Vault, name: string, { id, thumbprint, tags, enabled, nbf, exp, created, updated }: CertificateVersion): object {
  return {
    id: `${vault.url}/certificates/${name}/${id}`,
    x5t: thumbprint.toString("base64url"),
    attributes: { enabled, nbf, exp, created, updated, ...recoveryOf(vault) },
    ...(tags && { tags }),
  };
}

function policyOf(vault: Vault, { name, policy }: StoredCertificate): object {
  const { kind, subject, keyUsage, validityMonths, reuseKey, exportable } = policy;
  const size = kind.curve === undefined ? { key_size: kind.bits } : { crv: kind.curve };
  return {
    id: `${vault.url}/certificates/${name}/policy`,
    key_props: { kty: kind.type, ...size, exportable, reuse_key: reuseKey },
    secret_props: { contentType: PEM },
    x509_props: { subject, key_usage: keyUsage, validity_months: validityMonths },
    lifetime_actions: [{ trigger: { lifetime_percentage: 80 }, action: { action_type: "AutoRenew" } }],
    issuer: { name: "Self" },
    attributes: { enabled: true },
  };
}
