import { randomBytes } from "node:crypto";
import { badParameter } from "./answer.ts";
import * as certificates from "./certificate-requests.ts";
import * as keys from "./key-requests.ts";
import type { Right } from "./rights.ts";
import * as secrets from "./secret-requests.ts";
import type { Flavour, VaultCall } from "./vault.ts";

/** The handler of a kind of request. */
export interface Route {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** The path, with groups `name` and `version`. */
  readonly path: RegExp;
  readonly right: Right;
  readonly needsBody?: boolean;
  /** The status of an answer with a body. Default 200. */
  readonly status?: number;
  /** The kind of vault that has the route; undefined for all kinds. */
  readonly only?: readonly Flavour[];
  /** @returns nothing for an answer without a body @throws Answer */
  answer(call: VaultCall): object | undefined | Promise<object>;
}

export const ROUTES: readonly Route[] = [
  { method: "GET", path: at("/keys"), right: "read", answer: keys.listKeys },
  { method: "GET", path: at("/keys/{name}/versions"), right: "read", answer: keys.listVersions },
  { method: "GET", path: at("/keys/{name}/rotationpolicy"), right: "readpolicy", answer: keys.rotationPolicy },
  { method: "PUT", path: at("/keys/{name}/rotationpolicy"), right: "writepolicy", needsBody: true, answer: keys.setRotationPolicy },
  { method: "GET", path: at("/keys/{name}"), right: "read", answer: keys.readKey },
  { method: "GET", path: at("/keys/{name}/{version}"), right: "read", answer: keys.readKey },
  { method: "POST", path: at("/keys/{name}/create"), right: "create", needsBody: true, answer: keys.createKey },
  { method: "PUT", path: at("/keys/{name}"), right: "import", needsBody: true, answer: keys.importKey },
  { method: "PATCH", path: at("/keys/{name}"), right: "update", needsBody: true, answer: keys.updateKey },
  { method: "PATCH", path: at("/keys/{name}/{version}"), right: "update", needsBody: true, answer: keys.updateKey },
  { method: "POST", path: at("/keys/{name}/rotate"), right: "rotate", answer: keys.rotateKey },
  { method: "POST", path: at("/keys/{name}/backup"), right: "backup", answer: keys.backUpKey },
  { method: "POST", path: at("/keys/restore"), right: "restore", needsBody: true, answer: keys.restoreKey },
  { method: "DELETE", path: at("/keys/{name}"), right: "delete", answer: keys.deleteKey },
  { method: "GET", path: at("/deletedkeys"), right: "read", answer: keys.listDeletedKeys },
  { method: "GET", path: at("/deletedkeys/{name}"), right: "read", answer: keys.readDeletedKey },
  { method: "POST", path: at("/deletedkeys/{name}/recover"), right: "recover", answer: keys.recoverKey },
  { method: "DELETE", path: at("/deletedkeys/{name}"), right: "purge", answer: keys.purgeKey },
  { method: "POST", path: at("/keys/{name}/{version}/wrapkey"), right: "wrapkey", needsBody: true, answer: keys.wrapKey },
  { method: "POST", path: at("/keys/{name}/{version}/unwrapkey"), right: "unwrapkey", needsBody: true, answer: keys.unwrapKey },
  { method: "POST", path: at("/keys/{name}/{version}/encrypt"), right: "encrypt", needsBody: true, answer: keys.encrypt },
  { method: "POST", path: at("/keys/{name}/{version}/decrypt"), right: "decrypt", needsBody: true, answer: keys.decrypt },
  { method: "POST", path: at("/keys/{name}/{version}/sign"), right: "sign", needsBody: true, answer: keys.sign },
  { method: "POST", path: at("/keys/{name}/{version}/verify"), right: "verify", needsBody: true, answer: keys.verify },
  { method: "POST", path: at("/rng"), right: "random", needsBody: true, only: ["managed-hsm"], answer: randomOf },
  ...inVaults([
    { method: "GET", path: at("/secrets"), right: "readsecret", answer: secrets.listSecrets },
    { method: "GET", path: at("/secrets/{name}/versions"), right: "readsecret", answer: secrets.listVersions },
    { method: "GET", path: at("/secrets/{name}"), right: "readsecret", answer: secrets.readSecret },
    { method: "GET", path: at("/secrets/{name}/{version}"), right: "readsecret", answer: secrets.readSecret },
    { method: "PUT", path: at("/secrets/{name}"), right: "writesecret", needsBody: true, answer: secrets.setSecret },
    { method: "PATCH", path: at("/secrets/{name}/{version}"), right: "writesecret", needsBody: true, answer: secrets.updateSecret },
    { method: "DELETE", path: at("/secrets/{name}"), right: "deletesecret", answer: secrets.deleteSecret },
    { method: "GET", path: at("/deletedsecrets"), right: "readsecret", answer: secrets.listDeletedSecrets },
    { method: "GET", path: at("/deletedsecrets/{name}"), right: "readsecret", answer: secrets.readDeletedSecret },
    { method: "POST", path: at("/deletedsecrets/{name}/recover"), right: "recoversecret", answer: secrets.recoverSecret },
    { method: "DELETE", path: at("/deletedsecrets/{name}"), right: "purgesecret", answer: secrets.purgeSecret },
    {
      method: "POST",
      path: at("/certificates/{name}/create"),
      right: "createcertificate",
      needsBody: true,
      status: 202,
      answer: certificates.createCertificate,
    },
    { method: "GET", path: at("/certificates"), right: "readcertificate", answer: certificates.listCertificates },
    { method: "GET", path: at("/certificates/{name}/pending"), right: "readcertificate", answer: certificates.readOperation },
    { method: "GET", path: at("/certificates/{name}/policy"), right: "readcertificate", answer: certificates.readPolicy },
    { method: "GET", path: at("/certificates/{name}/versions"), right: "readcertificate", answer: certificates.listVersions },
    { method: "GET", path: at("/certificates/{name}"), right: "readcertificate", answer: certificates.readCertificate },
    { method: "GET", path: at("/certificates/{name}/{version}"), right: "readcertificate", answer: certificates.readCertificate },
    {
      method: "PATCH",
      path: at("/certificates/{name}/{version}"),
      right: "updatecertificate",
      needsBody: true,
      answer: certificates.updateCertificate,
    },
    { method: "DELETE", path: at("/certificates/{name}"), right: "deletecertificate", answer: certificates.deleteCertificate },
    { method: "GET", path: at("/deletedcertificates"), right: "readcertificate", answer: certificates.listDeletedCertificates },
    { method: "GET", path: at("/deletedcertificates/{name}"), right: "readcertificate", answer: certificates.readDeletedCertificate },
    {
      method: "POST",
      path: at("/deletedcertificates/{name}/recover"),
      right: "recovercertificate",
      answer: certificates.recoverCertificate,
    },
    { method: "DELETE", path: at("/deletedcertificates/{name}"), right: "purgecertificate", answer: certificates.purgeCertificate },
  ]),
];

/** A Managed HSM keeps keys alone. */
function inVaults(routes: readonly Omit<Route, "only">[]): readonly Route[] {
  return routes.map((route) => ({ ...route, only: ["standard", "premium"] }));
}

function randomOf({ body }: VaultCall): object {
  const count = body.number("count") ?? 0;
  if (count < 1 || count > 128) throw badParameter("count is 1 to 128.");
  return { value: randomBytes(count).toString("base64url") };
}

/** A version may be empty, as in `/keys/orders//wrapkey` and `/keys/orders/`: the newest. */
function at(template: string): RegExp {
  const pattern = template.replace("{name}", "(?<name>[0-9A-Za-z-]+)").replace("{version}", "(?<version>[0-9A-Za-z]*)");
  return new RegExp(`^${pattern}$`);
}
