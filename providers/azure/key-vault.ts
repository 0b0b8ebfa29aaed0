import type { CryptographyClient, KeyClient, KeyProperties, KeyVaultKey, KeyWrapAlgorithm } from "@azure/keyvault-keys";
import { copyOf, isBytes, type OwnedBytes, wipe } from "../../src/bytes.ts";
import { EnvelockError } from "../../src/errors.ts";
import { bounded } from "./bounded.ts";
import { type AzureClock, systemClock } from "./clock.ts";
import { type Asked, brokenAnswer, serviceFailure } from "./failures.ts";
import { fieldOf, textFieldOf } from "./fields.ts";
import { GatedClient } from "./first-call.ts";
import { isVersion, type KeyLocation, keyIdOf, type VaultLocation } from "./key-url.ts";
import { type AzureConnectionOptions, checkedCredential, checkedMs, DEFAULT_TIMEOUT_MS } from "./options.ts";
import { tokenSource } from "./token-source.ts";
import { type KnownChallenge, transportGuard } from "./transport-guard.ts";

/** What a listing of versions says of each. */
export interface VersionState {
  readonly version: string;
  readonly isEnabled: boolean;
  /** Unix times in milliseconds. */
  readonly notBeforeMs: number | undefined;
  readonly expiresMs: number | undefined;
  readonly createdMs: number;
}

/** One version of a key, as the service describes it. */
export interface KeyVersion extends VersionState {
  readonly keyType: string;
  readonly operations: readonly string[] | undefined;
  /** Modulus and exponent, where the service shows them. */
  readonly publicKey: { readonly n: OwnedBytes; readonly e: OwnedBytes } | undefined;
}

/**
 * The service through the SDK's clients, used so that their habits do no harm: no retry of theirs, no redirect, a time limit, one
 * client for each key version, made from a key that says nothing about validity, so that each call goes to exactly that version and
 * the service decides.
 */
export class KeyVault {
  readonly #location: VaultLocation;
  readonly #clientOptions: (onAuthorised: () => void) => ClientOptions;
  readonly #keyClient: GatedClient<KeyClient>;
  readonly #versionClients: Map<string, GatedClient<CryptographyClient>> = new Map();
  readonly #makeVersionClient: (key: KeyLocation, version: string) => GatedClient<CryptographyClient>;
  readonly #clock: AzureClock;
  readonly #timeoutMs: number;
  #isClosed = false;

  /** @throws `invalid-argument` */
  constructor(
    location: VaultLocation,
    { credential, timeoutMs = DEFAULT_TIMEOUT_MS, client, clock = systemClock }: AzureConnectionOptions,
  ) {
    const { vaultUrl, tokenResource, isKnownCloud } = location;
    const tokens = tokenSource(checkedCredential(credential), tokenResource, clock);
    const challenge: KnownChallenge = { headers: undefined };
    this.#location = location;
    this.#clock = clock;
    this.#timeoutMs = checkedMs("timeoutMs", timeoutMs, 1);
    // The SDK changes the object that it is given, so each client has its own; `tlsOptions` stays one, for by it connections are shared.
    const tlsOptions = client?.tlsOptions === undefined ? undefined : sdkTlsOptions(client.tlsOptions);
    this.#clientOptions = (onAuthorised) => ({
      ...(client?.serviceVersion !== undefined && { serviceVersion: client.serviceVersion }),
      ...(client?.proxyOptions !== undefined && { proxyOptions: { ...client.proxyOptions } }),
      ...(client?.userAgentPrefix !== undefined && { userAgentOptions: { userAgentPrefix: client.userAgentPrefix } }),
      ...(tlsOptions !== undefined && { tlsOptions }),
      retryOptions: { maxRetries: 0 },
      redirectOptions: { maxRetries: 0 },
      disableChallengeResourceVerification: !isKnownCloud, // `tokenSource` holds the challenge to one resource in any case
      additionalPolicies: [{ policy: transportGuard({ vaultUrl, challenge, onAuthorised }), position: "perRetry" }],
    });
    this.#keyClient = new GatedClient(async (onAuthorised) => {
      const sdk = await loadSdk();
      return new sdk.KeyClient(vaultUrl, tokens, this.#clientOptions(onAuthorised));
    });
    this.#makeVersionClient = (key, version) =>
      new GatedClient(async (onAuthorised) => {
        const sdk = await loadSdk();
        return new sdk.CryptographyClient(bareKey(key, version), tokens, this.#clientOptions(onAuthorised));
      });
  }

  /** @param version the newest if left out, whatever its state */
  async readKey(key: KeyLocation, version?: string, signal?: AbortSignal): Promise<KeyVersion> {
    const asked = this.#asked("read", `${this.#location.vaultUrl}/keys/${key.name}`);
    const read = await this.#call(asked, signal, (options) =>
      this.#keyClient.use(options.abortSignal, (client) =>
        client.getKey(key.name, { ...options, ...(version !== undefined && { version }) }),
      ),
    );
    return keyVersion(read, asked);
  }

  async listVersions(key: KeyLocation): Promise<readonly VersionState[]> {
    const asked = this.#asked("read", `${this.#location.vaultUrl}/keys/${key.name}/versions`);
    return await this.#call(asked, undefined, (options) =>
      this.#keyClient.use(options.abortSignal, async (client) => {
        const states: VersionState[] = [];
        for await (const properties of client.listPropertiesOfKeyVersions(key.name, { ...options })) {
          states.push(versionState(properties, asked));
        }
        return states;
      }),
    );
  }

  async wrap(key: KeyLocation, version: string, algorithm: KeyWrapAlgorithm, dek: Uint8Array, signal?: AbortSignal): Promise<OwnedBytes> {
    return await this.#useKey("wrap", key, version, signal, async (client, options) => await client.wrapKey(algorithm, dek, options));
  }

  /** @returns what was wrapped, of whatever length */
  async unwrap(
    key: KeyLocation,
    version: string,
    algorithm: KeyWrapAlgorithm,
    wrapped: Uint8Array,
    signal?: AbortSignal,
  ): Promise<OwnedBytes> {
    return await this.#useKey(
      "unwrap",
      key,
      version,
      signal,
      async (client, options) => await client.unwrapKey(algorithm, wrapped, options),
    );
  }

  /** @param count 1 to 128 */
  async randomBytes(count: number, signal: AbortSignal | undefined): Promise<OwnedBytes> {
    const asked = this.#asked("random", this.#location.vaultUrl);
    const random = await this.#call(asked, signal, (options) =>
      this.#keyClient.use(options.abortSignal, (client) => client.getRandomBytes(count, { ...options })),
    );
    if (!isBytes(random) || random.length !== count) throw brokenAnswer(asked, `does not hold ${count} bytes`);
    return taken(random);
  }

  requireOpen(): void {
    if (this.#isClosed) throw new EnvelockError("closed", "this Azure key has been closed");
  }

  close(): void {
    this.#isClosed = true;
    this.#versionClients.clear();
  }

  async #useKey(
    operation: "wrap" | "unwrap",
    key: KeyLocation,
    version: string,
    signal: AbortSignal | undefined,
    use: (client: CryptographyClient, options: CallOptions) => Promise<{ readonly result: Uint8Array }>,
  ): Promise<OwnedBytes> {
    const keyId = keyIdOf(key, version);
    const asked = this.#asked(operation, keyId);
    let usedKeyId: string | undefined;
    const { result } = await this.#call(asked, signal, (options) => {
      const onResponse = (response: object): void => {
        options.onResponse(response);
        usedKeyId = textFieldOf(fieldOf(response, "parsedBody"), "kid");
      };
      const client = this.#versionClient(key, version);
      return client.use(options.abortSignal, (sdkClient) => use(sdkClient, { ...options, onResponse }));
    });
    if (!isBytes(result) || result.length === 0) throw brokenAnswer(asked, "holds no bytes");
    const bytes = taken(result);
    if (usedKeyId === undefined || usedKeyId.toLowerCase() === keyId) return bytes;
    wipe(bytes);
    throw brokenAnswer(asked, "comes from another key version");
  }

  /** The client of a version, kept for the versions that were used last: which there are is up to whoever writes key ids. */
  #versionClient(key: KeyLocation, version: string): GatedClient<CryptographyClient> {
    const client = this.#versionClients.get(version) ?? this.#makeVersionClient(key, version);
    this.#versionClients.delete(version);
    this.#versionClients.set(version, client);
    const [oldest] = this.#versionClients.keys();
    if (this.#versionClients.size > MAX_VERSION_CLIENTS && oldest !== undefined) this.#versionClients.delete(oldest);
    return client;
  }

  #asked(operation: Asked["operation"], of: string): Asked {
    return { operation, of, isManagedHsm: this.#location.isManagedHsm };
  }

  async #call<T>(asked: Asked, signal: AbortSignal | undefined, work: (options: CallOptions) => Promise<T>): Promise<T> {
    this.requireOpen();
    let lastResponse: object | undefined;
    const onResponse = (response: object): void => {
      lastResponse = response;
    };
    const bounds = { clock: this.#clock, timeoutMs: this.#timeoutMs, what: `${asked.operation} with ${asked.of}`, signal };
    try {
      return await bounded(bounds, (abortSignal) => work({ abortSignal, onResponse }));
    } catch (error) {
      signal?.throwIfAborted();
      throw serviceFailure(error, lastResponse, asked);
    }
  }
}

/** What goes with each call of the SDK. The SDK adds to the object that it is given, so each call has its own. */
interface CallOptions {
  readonly abortSignal: AbortSignal;
  readonly onResponse: (response: object) => void;
}

type ClientOptions = NonNullable<ConstructorParameters<typeof KeyClient>[2]>;

function loadSdk(): Promise<typeof import("@azure/keyvault-keys")> {
  return import("@azure/keyvault-keys").catch((cause: unknown) => {
    throw new EnvelockError("provider-failure", "Azure keys need the package @azure/keyvault-keys, which did not load", {
      cause,
      hint: "npm install @azure/keyvault-keys",
    });
  });
}

/** No key material, so the SDK computes nothing itself; no dates and no operations, so it refuses nothing itself; no need to read. */
function bareKey(key: KeyLocation, version: string): KeyVaultKey {
  const { vaultUrl, name } = key;
  return { id: keyIdOf(key, version), name, properties: { vaultUrl, name, version } };
}

function keyVersion({ key, keyType, keyOperations, properties }: KeyVaultKey, asked: Asked): KeyVersion {
  if (keyType === undefined) throw brokenAnswer(asked, "names no key type");
  const publicKey = isBytes(key?.n) && isBytes(key.e) ? { n: copyOf(key.n), e: copyOf(key.e) } : undefined;
  return { ...versionState(properties, asked), keyType, operations: keyOperations, publicKey };
}

function versionState({ version, enabled, notBefore, expiresOn, createdOn }: KeyProperties, asked: Asked): VersionState {
  const name = version?.toLowerCase() ?? "";
  if (!isVersion(name)) throw brokenAnswer(asked, "names no version");
  return {
    version: name,
    isEnabled: enabled !== false,
    notBeforeMs: notBefore?.getTime(),
    expiresMs: expiresOn?.getTime(),
    createdMs: createdOn?.getTime() ?? 0,
  };
}

/** A copy of its own. The SDK's result is a view of memory that Node shares out, and is wiped. */
function taken(result: Uint8Array): OwnedBytes {
  const bytes = copyOf(result);
  wipe(result);
  return bytes;
}

function sdkTlsOptions({ ca }: { readonly ca?: string | readonly string[] }): { ca?: string | string[] } {
  if (ca === undefined) return {};
  return { ca: typeof ca === "string" ? ca : [...ca] };
}

const MAX_VERSION_CLIENTS = 32;
