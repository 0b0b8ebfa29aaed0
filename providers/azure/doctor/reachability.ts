import type { IncomingMessage } from "node:http";
import { fromBase64Url, textOf } from "../../../src/core/base/bytes.ts";
import { systemClock } from "../../../src/core/base/clock.ts";
import { EnvelockError } from "../../../src/core/base/errors.ts";
import { attempt } from "../../http/attempt.ts";
import { textFieldOf } from "../../http/fields.ts";
import { adviceAfter } from "../../http/findings.ts";
import { isCertificateError } from "../../http/transport-failures.ts";
import { credentialFailure } from "../failures.ts";
import type { KeyLocation } from "../key-url.ts";
import { DEFAULT_TIMEOUT_MS } from "../options.ts";
import { type AzureDiagnosisOptions, type AzureFinding, allSkipped, failed, ok } from "./finding.ts";

/** Checks how far a caller without a token comes: the name, the connection, the challenge of the vault. */
export async function vaultFindings(
  key: KeyLocation,
  options: AzureDiagnosisOptions,
): Promise<{ readonly findings: readonly AzureFinding[]; readonly tenantId: string | undefined }> {
  const { hostname } = new URL(key.vaultUrl);
  const dns = await dnsFinding(hostname, options);
  if (dns.status === "failed")
    return { findings: [dns, ...allSkipped(["tls", "challenge"], "the name did not resolve")], tenantId: undefined };
  let answer: AnonymousAnswer;
  try {
    answer = await askAnonymously(key, options);
  } catch (error) {
    return { findings: [dns, connectionFailure(error), ...allSkipped(["challenge"], "there was no connection")], tenantId: undefined };
  }
  const tls = ok("tls", `${answer.protocol}, with a certificate that is trusted`);
  return { findings: [dns, tls, challengeFinding(key, answer)], tenantId: answer.tenantId };
}

/** Checks whether the credential gives a token for the vault, by the vault's tenant. */
export async function tokenFinding(
  { tokenResource }: KeyLocation,
  tenantId: string | undefined,
  { credential, clock = systemClock, timeoutMs = DEFAULT_TIMEOUT_MS }: AzureDiagnosisOptions,
): Promise<AzureFinding> {
  try {
    const wanted = { ...(tenantId !== undefined && { tenantId }), enableCae: true };
    const bounds = { clock, timeoutMs, what: "the credential" };
    const token = await attempt(bounds, (abortSignal) => credential.getToken(`${tokenResource}/.default`, { ...wanted, abortSignal }));
    if (token === null) return failed("token", "the credential gave no token", "check what it reads: docs/providers/azure.md");
    const { aud, tid } = claimsOf(token.token);
    if (aud !== undefined && !isAudience(aud, tokenResource)) {
      return failed(
        "token",
        `the token is made out to ${aud}, not to ${tokenResource}`,
        "use a credential that asks for the scope it is given",
      );
    }
    if (tid !== undefined && tenantId !== undefined && tid !== tenantId) {
      const advice = "name the vault's tenant in the credential's tenantId or additionallyAllowedTenants";
      return { ...failed("token", `the token comes from tenant ${tid}, the vault is in ${tenantId}`, advice), code: "access-denied" };
    }
    const message = aud === undefined ? "the credential gives a token" : `the credential gives a token for ${aud}`;
    return ok("token", tid === undefined ? message : `${message} from tenant ${tid}`);
  } catch (error) {
    const failure = credentialFailure(error);
    return { ...failed("token", `${failure.code}: ${failure.message}`, adviceAfter(failure)), code: failure.code };
  }
}

async function dnsFinding(
  hostname: string,
  { clock = systemClock, timeoutMs = DEFAULT_TIMEOUT_MS }: AzureDiagnosisOptions,
): Promise<AzureFinding> {
  try {
    const { lookup } = await import("node:dns/promises");
    const found = await attempt({ clock, timeoutMs, what: "the resolver" }, () => lookup(hostname, { all: true }));
    const addresses = found.map(({ address }) => address).join(", ");
    const isPrivate = found.some(({ address }) => PRIVATE_ADDRESS.test(address));
    return ok("dns", `${hostname} is ${addresses}${isPrivate ? ", a private endpoint" : ""}`);
  } catch (error) {
    const advice =
      "check the vault's name and, for a private endpoint, the zone privatelink.vaultcore.azure.net (privatelink.managedhsm.azure.net)";
    return failed("dns", `${hostname} does not resolve (${codeOf(error)})`, advice);
  }
}

interface AnonymousAnswer {
  readonly status: number;
  readonly protocol: string;
  readonly tenantId: string | undefined;
  /** The audience that the vault wants in tokens. */
  readonly resource: string | undefined;
}

/** Asks for the key without a token, as the first request of the SDK does. */
async function askAnonymously(
  { vaultUrl, name }: KeyLocation,
  { client, clock = systemClock, timeoutMs = DEFAULT_TIMEOUT_MS }: AzureDiagnosisOptions,
): Promise<AnonymousAnswer> {
  const { request } = await import("node:https");
  const ca = client?.tlsOptions?.ca;
  return await attempt({ clock, timeoutMs, what: "the vault" }, (signal) => {
    return new Promise((resolve, reject) => {
      const trusted = ca === undefined ? {} : { ca: typeof ca === "string" ? ca : [...ca] };
      const asked = request(`${vaultUrl}/keys/${name}?api-version=7.4`, { ...trusted, signal, agent: false }, (response) => {
        response.resume();
        resolve(answerOf(response));
      });
      asked.on("error", reject);
      asked.end();
    });
  });
}

function answerOf({ statusCode = 0, headers, socket }: IncomingMessage): AnonymousAnswer {
  const header = headers["www-authenticate"] ?? "";
  const authority = /authorization(?:_uri)?="?([^",\s]+)/.exec(header)?.[1] ?? "";
  return {
    status: statusCode,
    protocol: protocolOf(socket),
    tenantId: /^https:\/\/[^/]+\/([\w.-]{1,64})\/?$/.exec(authority)?.[1],
    resource: /(?:resource|scope)="?([^",\s]+)/.exec(header)?.[1]?.replace(/\/\.default$/, ""),
  };
}

function challengeFinding({ tokenResource }: KeyLocation, { status, resource, tenantId }: AnonymousAnswer): AzureFinding {
  if (status !== 401 || resource === undefined) {
    const message = `the vault answered ${status} where it asks for a token`;
    return failed("challenge", message, "look for a proxy or gateway that answers in the vault's place");
  }
  if (resource !== tokenResource) {
    const message = `the vault asks for tokens that are made out to ${resource.slice(0, 100)}, not to ${tokenResource}`;
    return failed("challenge", message, "check the key's URL; a cloud of its own needs tokenResource");
  }
  return ok("challenge", `the vault asks for a token for ${resource} from tenant ${tenantId ?? "unknown"}`);
}

function connectionFailure(error: unknown): AzureFinding {
  const code = codeOf(error);
  if (isCertificateError(code)) {
    const advice = "if a proxy or vault of your own has its own authority, name that in client.tlsOptions.ca or NODE_EXTRA_CA_CERTS";
    return failed("tls", `the vault's certificate is not trusted (${code})`, advice);
  }
  return failed("tls", `the vault cannot be reached (${code})`, "check firewalls, routes and proxies between here and the vault");
}

/** Reads audience and tenant, if the token is a JWT. They are only shown, never trusted. */
function claimsOf(token: string): { readonly aud: string | undefined; readonly tid: string | undefined } {
  const bytes = fromBase64Url(token.split(".")[1] ?? "");
  const text = bytes === undefined ? undefined : textOf(bytes);
  try {
    const claims: unknown = JSON.parse(text ?? "null");
    return { aud: shownClaim(claims, "aud"), tid: shownClaim(claims, "tid") };
  } catch {
    return { aud: undefined, tid: undefined };
  }
}

function shownClaim(claims: unknown, name: string): string | undefined {
  const value = textFieldOf(claims, name);
  return value !== undefined && /^[\w:/.-]{1,128}$/.test(value) ? value : undefined;
}

/** Compares audiences: tokens name the resource, with or without a slash, or the id of the vaults' application. */
function isAudience(audience: string, resource: string): boolean {
  return audience.replace(/\/$/, "") === resource || audience === VAULT_APPLICATION;
}

function protocolOf(socket: object): string {
  const protocol: unknown = "getProtocol" in socket && typeof socket.getProtocol === "function" ? socket.getProtocol() : undefined;
  return typeof protocol === "string" ? protocol : "TLS";
}

function codeOf(error: unknown): string {
  if (error instanceof EnvelockError) return error.code;
  return textFieldOf(error, "code") ?? "unknown";
}

const VAULT_APPLICATION = "cfa8b339-82a2-471a-a3c9-0fc0be7a4093";
const PRIVATE_ADDRESS = /^(?:10\.|192\.168\.|172\.(?:1[6-9]|2[0-9]|3[01])\.|f[cd])/i;
