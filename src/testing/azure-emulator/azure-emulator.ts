import { type Clock, systemClock } from "../../core/base/clock.ts";
import { refuseUnknown } from "../../core/base/options.ts";
import { LoopbackEmulator } from "../emulator/loopback-emulator.ts";
import { LoopbackServer } from "../emulator/loopback-server.ts";
import { type Answer, asLibraryError, forbidden, keyNotFound } from "./answer.ts";
import { policyIn } from "./certificate-requests.ts";
import { CertificateStore, type KeyUsage } from "./certificate-store.ts";
import { API_VERSIONS, EMULATOR_OPTIONS, type EmulatorOptions, TENANT } from "./emulator-options.ts";
import { isFaultName, type OwnFault } from "./faults.ts";
import { JsonFields } from "./json-fields.ts";
import { keyIdOf } from "./key-bundle.ts";
import { type Curve, type KeyType, keyKind, newMaterial } from "./key-material.ts";
import { durationSeconds, keptKind } from "./key-requests.ts";
import { KeyStore, type StoredVersion, type VersionAttributes } from "./key-store.ts";
import type { LoggedRequest } from "./logged-request.ts";
import { ManagedIdentityEndpoint } from "./managed-identity.ts";
import { type EmulatedToken, Principal, type PrincipalOptions, TokenAuthority, type TokenRequestOptions } from "./principals.ts";
import type { Right } from "./rights.ts";
import { type SecretAttributes, SecretStore } from "./secret-store.ts";
import { type Shield, VaultService } from "./service.ts";
import { TransactionLimits } from "./transaction-limits.ts";
import type { Flavour } from "./vault.ts";

/** The description of a new key. */
export interface KeySpec extends VersionAttributes {
  readonly type: KeyType;
  /** Bits of an RSA key (default 2048) or of an oct key (default 256). */
  readonly bits?: number;
  /** The curve of an EC key. Default P-256. */
  readonly curve?: Curve;
}

/** The description of a certificate, which signs itself. */
export interface CertificateSpec {
  /** Default RSA. */
  readonly type?: KeyType;
  /** Bits of an RSA key. Default 2048. */
  readonly bits?: number;
  readonly curve?: Curve;
  /** Default `digitalSignature` and `keyEncipherment`; the second allows wrapping. */
  readonly keyUsage?: readonly KeyUsage[];
  /** Default 12. */
  readonly validityMonths?: number;
  /** Whether the next version keeps the key. Default false. */
  readonly reuseKey?: boolean;
}

/** The attributes of a version that a test can change. Times are Unix time in seconds. */
export interface VersionChange {
  readonly enabled?: boolean;
  readonly nbf?: number | undefined;
  readonly exp?: number | undefined;
  /** Whether it has reached the region that answers. */
  readonly isReplicated?: boolean;
}

/** The options with which `azureKey` reaches an emulator. */
export interface EmulatorConnection {
  readonly credential: Principal;
  readonly allowedHosts: readonly string[];
  readonly tokenResource: string;
  readonly client: { readonly tlsOptions: { readonly ca: string } };
}

/**
 * A key vault or Managed HSM on a loopback port: HTTPS with a certificate of its own, challenges with tokens that it checks, keys with
 * versions and attributes, real cryptography, and faults on order. It answers as the service is documented to.
 *
 * For tests alone: it keeps keys in memory, and its log has the data keys that it was sent.
 *
 * @example
 * ```ts
 * import { azureKey } from "envelock/providers/azure";
 * import { AzureEmulator } from "envelock/testing/azure-emulator";
 *
 * const emulator = await AzureEmulator.start();
 * await emulator.createKey("orders", { type: "RSA-HSM", bits: 2048 });
 * const key = azureKey({ ...emulator.connection, keyUrl: emulator.keyUrl("orders") });
 * await emulator.close();
 * ```
 */
export class AzureEmulator extends LoopbackEmulator<LoggedRequest, OwnFault> {
  /** The load so far, measured against the documented limits. */
  readonly limits: TransactionLimits;
  /** The tokens requested so far. */
  readonly tokenRequests: { readonly scopes: string; readonly options: TokenRequestOptions }[];
  /** The audience of its tokens. */
  readonly tokenResource: string;
  readonly tenantId: string;
  /** The principal with all rights, in the shape of a credential of `@azure/identity`. */
  readonly owner: Principal;
  readonly #clock: Clock;
  readonly #flavour: Flavour;
  readonly #tokens: TokenAuthority;
  readonly #keys: KeyStore;
  readonly #secrets: SecretStore;
  readonly #certificates: CertificateStore;
  readonly #service: VaultService;
  readonly #server: LoopbackServer<LoggedRequest, OwnFault>;
  readonly #endpoints: ManagedIdentityEndpoint[] = [];

  private constructor(given: EmulatorOptions) {
    refuseUnknown(given, EMULATOR_OPTIONS, "AzureEmulator.start");
    const { hasLimits = false, retryAfterSeconds, onRequest } = given;
    const { clock = systemClock, flavour = "premium", retentionDays = 90, isPurgeProtected = false, replicationLagMs = 0 } = given;
    const { transitionMs = 0, apiVersions = API_VERSIONS, geography = "europe", tenantId = TENANT } = given;
    const tokenResource = flavour === "managed-hsm" ? "https://managedhsm.azure.net" : "https://vault.azure.net";
    const tokens = new TokenAuthority(clock, tokenResource, tenantId);
    const limits = new TransactionLimits(() => clock.unixMs());
    const rules = { clock, retentionDays, isPurgeProtected, transitionMs };
    const keys = new KeyStore({ ...rules, replicationLagMs });
    const secrets = new SecretStore(rules);
    const certificates = new CertificateStore(rules, keys, secrets);
    const service = new VaultService(tokens, apiVersions, () => ({
      url: `https://${server.host}`,
      flavour,
      keys,
      secrets,
      certificates,
      retentionDays,
      isPurgeProtected,
      geography,
      limits: hasLimits && flavour !== "managed-hsm" ? limits : undefined,
      retryAfterSeconds,
      nowSeconds: Math.floor(clock.unixMs() / 1000),
      newVersion: (name) => newVersion(keys, clock, name, 0),
    }));
    const server = new LoopbackServer<LoggedRequest, OwnFault>(service, { clock, onRequest });
    super(server, isFaultName);
    this.#clock = clock;
    this.#flavour = flavour;
    this.tenantId = tenantId;
    this.tokenResource = tokenResource;
    this.#tokens = tokens;
    this.tokenRequests = tokens.requests;
    this.owner = new Principal(tokens, {});
    this.limits = limits;
    this.#keys = keys;
    this.#secrets = secrets;
    this.#certificates = certificates;
    this.#service = service;
    this.#server = server;
  }

  /** Starts one; ends with `await using`, or with `close`. @throws `unavailable` if the port is taken */
  static async start(options: EmulatorOptions = {}): Promise<AzureEmulator> {
    const emulator = new AzureEmulator(options);
    await emulator.#server.listen(options.port ?? 0);
    return emulator;
  }

  /** Returns a currently valid token of the owner. */
  get token(): string {
    return this.owner.token;
  }

  /** The options that `azureKey` needs beside the key: `azureKey({ ...emulator.connection, keyUrl: emulator.keyUrl("orders") })`. */
  get connection(): EmulatorConnection {
    return this.connectionFor(this.owner);
  }

  connectionFor(credential: Principal): EmulatorConnection {
    return { credential, allowedHosts: [this.host], tokenResource: this.tokenResource, client: { tlsOptions: { ca: this.ca } } };
  }

  keyUrl(name: string, version?: string): string {
    return keyIdOf(this, name, version);
  }

  secretUrl(name: string, version?: string): string {
    return `${this.url}/secrets/${name}${version === undefined ? "" : `/${version}`}`;
  }

  /** Gives a token of the owner, so that an emulator can serve as a credential. */
  readonly getToken = async (scopes: string | string[], options?: TokenRequestOptions): Promise<EmulatedToken> =>
    await this.owner.getToken(scopes, options);

  /** Makes a principal with the given rights. */
  principal(options: PrincipalOptions): Principal {
    return new Principal(this.#tokens, options);
  }

  /**
   * Makes a key and replaces any key of this name.
   *
   * @param ageMs how long ago it was made
   * @returns its first version: 32 hex digits
   * @throws `invalid-argument`
   */
  async createKey(name: string, spec: KeySpec, ageMs = 3_600_000): Promise<string> {
    return await inTime(async () => {
      const kind = keptKind({ flavour: this.#flavour }, keyKind(spec.type, spec.bits, spec.curve));
      const material = await newMaterial(kind);
      this.#keys.forget(name);
      return this.#keys.add(name, kind, material, spec, { ageMs }).id;
    });
  }

  /**
   * Makes a new version of a key. Its type may differ, as in the service when a client creates a key under an existing name.
   *
   * @param ageMs how long ago the version was made
   * @returns the new version: 32 hex digits
   * @throws `key-not-found` if there is no such key; `invalid-argument`
   */
  async addVersion(name: string, spec: KeySpec, ageMs = 0): Promise<string> {
    return await inTime(async () => {
      this.#keys.find(name);
      const kind = keptKind({ flavour: this.#flavour }, keyKind(spec.type, spec.bits, spec.curve));
      return this.#keys.add(name, kind, await newMaterial(kind), spec, { ageMs }).id;
    });
  }

  /** @returns the new version @throws `key-not-found` */
  async rotate(name: string, ageMs = 0): Promise<string> {
    return await inTime(async () => (await newVersion(this.#keys, this.#clock, name, ageMs)).id);
  }

  /** @throws `key-not-found` */
  change(name: string, version: string, { isReplicated, ...attributes }: VersionChange): void {
    const found = directly(() => this.#keys.find(name)).versions.find(({ id }) => id === version);
    if (found === undefined) throw asLibraryError(keyNotFound(name, version));
    Object.assign(found, attributes);
    if (isReplicated !== undefined) found.replicatedAtMs = isReplicated ? 0 : Number.POSITIVE_INFINITY;
  }

  /** @throws `key-not-found` */
  newestVersion(name: string): string {
    return directly(() => this.#keys.version(name, "")).id;
  }

  /** @throws `key-not-found` */
  softDelete(name: string): void {
    directly(() => this.#keys.delete(name));
  }

  /** @throws `key-not-found` */
  recover(name: string): void {
    directly(() => this.#keys.recover(name));
  }

  /**
   * Makes a certificate with its key and its secret, or the next version of the certificate of this name.
   *
   * @param ageMs how long ago it was made
   * @returns the version, which the key and the secret have too: 32 hex digits
   * @throws `invalid-argument`
   */
  async createCertificate(name: string, spec: CertificateSpec = {}, ageMs = 3_600_000): Promise<string> {
    const { type = "RSA", bits, curve, keyUsage, validityMonths, reuseKey } = spec;
    const policy = {
      issuer: { name: "Self" },
      key_props: { kty: type, key_size: bits, crv: curve, reuse_key: reuseKey, exportable: !type.endsWith("-HSM") },
      x509_props: { subject: `CN=${name}`, validity_months: validityMonths, ...(keyUsage !== undefined && { key_usage: keyUsage }) },
    };
    return await inTime(async () => {
      const { versions } = await this.#certificates.add(name, policyIn({ flavour: this.#flavour }, JsonFields.of(policy)), { ageMs });
      return versions.at(-1)?.id ?? "";
    });
  }

  /** @returns the new version: 32 hex digits @throws `invalid-argument` */
  setSecret(name: string, value: string, attributes?: SecretAttributes): string {
    return directly(() => this.#secrets.add(name, value, attributes)).id;
  }

  /** @throws `key-not-found` */
  changeSecret(name: string, version: string, change: Pick<VersionChange, "enabled" | "nbf" | "exp">): void {
    Object.assign(
      directly(() => this.#secrets.version(name, version)),
      change,
    );
  }

  /** Deletes a secret; it can be recovered. @throws `key-not-found` */
  deleteSecret(name: string): void {
    directly(() => this.#secrets.delete(name));
  }

  /** @throws `key-not-found` */
  recoverSecret(name: string): void {
    directly(() => this.#secrets.recover(name));
  }

  /** Refuses an operation to every caller until the test allows it again. */
  deny(right: Right, answer: Answer = forbidden("ForbiddenByRbac")): void {
    this.#service.denied.set(right, answer);
  }

  allow(right: Right): void {
    this.#service.denied.delete(right);
  }

  /** Refuses every caller because of its network, until the test sets `undefined`. */
  shieldBy(shield: Shield | undefined): void {
    this.#service.shield = shield;
  }

  /** Answers every token issued so far with a claims challenge, until a client requests one with those claims. */
  revokeTokens(): void {
    this.#tokens.revoke();
  }

  /**
   * Gives the tokens of `principal` to clients that ask as a virtual machine in Azure does: a process with the variable
   * AZURE_POD_IDENTITY_AUTHORITY_HOST set to the result gets them through `ManagedIdentityCredential`.
   *
   * @returns `http://127.0.0.1:<port>`
   */
  async serveManagedIdentity(principal: Principal = this.owner): Promise<string> {
    const endpoint = await ManagedIdentityEndpoint.start(principal, this.#clock);
    this.#endpoints.push(endpoint);
    return endpoint.url;
  }

  /** Closes every connection. */
  override async close(): Promise<void> {
    for (const endpoint of this.#endpoints.splice(0)) await endpoint.close();
    await super.close();
  }
}

/** Makes a version like the newest, with the expiry of the rotation policy. */
async function newVersion(keys: KeyStore, clock: Clock, name: string, ageMs: number): Promise<StoredVersion> {
  const { versions, rotationPolicy } = keys.find(name);
  const newest = versions.at(-1);
  if (newest === undefined) throw keyNotFound(name);
  const { kind, operations, tags } = newest;
  const lifeSeconds = rotationPolicy?.expiryTime === undefined ? undefined : durationSeconds(rotationPolicy.expiryTime);
  const exp = lifeSeconds === undefined ? undefined : Math.floor((clock.unixMs() - ageMs) / 1000) + lifeSeconds;
  return keys.add(name, kind, await newMaterial(kind), { operations, tags, exp }, { ageMs });
}

/** Runs an operation for a caller in this process and turns the service's errors into those of the library. */
function directly<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw asLibraryError(error);
  }
}

async function inTime<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asLibraryError(error);
  }
}
