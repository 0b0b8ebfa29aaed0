import type { CryptographyClient, KeyClient, KeyVaultKey, KeyWrapAlgorithm } from "@azure/keyvault-keys";
import { copyOf, isBytes, type OwnedBytes, wipe } from "../../../src/core/base/bytes.ts";
import { RecentMap } from "../../../src/core/base/recent-map.ts";
import { fieldOf, textFieldOf } from "../../http/fields.ts";
import { type Asked, brokenAnswer } from "../failures.ts";
import { type KeyLocation, keyIdOf } from "../key-url.ts";
import { type VersionState, versionStateOf } from "../key-versions.ts";
import type { GatedClient } from "./first-call.ts";
import { missingPackage, type SdkCallOptions, type VaultConnection } from "./vault-connection.ts";

/** One version of a key, as the service describes it. */
export interface KeyVersion extends VersionState {
  readonly keyType: string;
  readonly operations: readonly string[] | undefined;
  /** The effect of a deletion, such as `Recoverable+Purgeable`. */
  readonly recoveryLevel: string | undefined;
  /** Whether the key belongs to a certificate, which alone renews and deletes it. */
  readonly isOfCertificate: boolean;
  /** Modulus and exponent, where the service shows them. */
  readonly publicKey: { readonly n: OwnedBytes; readonly e: OwnedBytes } | undefined;
}

/** The keys of a vault. One client for each key version, so that each call goes to exactly that one. */
export class KeyVault {
  readonly #connection: VaultConnection;
  readonly #keyClient: GatedClient<KeyClient>;
  readonly #versionClients: RecentMap<string, GatedClient<CryptographyClient>> = new RecentMap({ maxEntries: MAX_VERSION_CLIENTS });

  constructor(connection: VaultConnection) {
    this.#connection = connection;
    this.#keyClient = connection.client(async (vaultUrl, credential, options) => {
      const { KeyClient: Client } = await loadSdk();
      return new Client(vaultUrl, credential, options);
    });
  }

  /**
   * Reads a version of the key.
   *
   * @param version by default the newest, whatever its state
   */
  async readKey(key: KeyLocation, version?: string, signal?: AbortSignal): Promise<KeyVersion> {
    const asked = this.#connection.asked("read", `${key.vaultUrl}/keys/${key.name}`);
    const read = await this.#connection.call(asked, signal, (options) =>
      this.#keyClient.use(options.abortSignal, (client) =>
        client.getKey(key.name, { ...options, ...(version !== undefined && { version }) }),
      ),
    );
    return keyVersion(read, asked);
  }

  async listVersions(key: KeyLocation): Promise<readonly VersionState[]> {
    const asked = this.#connection.asked("read", `${key.vaultUrl}/keys/${key.name}/versions`);
    return await this.#connection.call(asked, undefined, (options) =>
      this.#keyClient.use(options.abortSignal, async (client) => {
        const states: VersionState[] = [];
        for await (const properties of client.listPropertiesOfKeyVersions(key.name, { ...options })) {
          states.push(versionStateOf(properties, asked));
        }
        return states;
      }),
    );
  }

  /** Reads the actions of a key's rotation policy, such as `Rotate` and `Notify`, in lower case. */
  async rotationActions(key: KeyLocation): Promise<readonly string[]> {
    const asked = this.#connection.asked("read-policy", `${key.vaultUrl}/keys/${key.name}/rotationpolicy`);
    const { lifetimeActions = [] } = await this.#connection.call(asked, undefined, (options) =>
      this.#keyClient.use(options.abortSignal, (client) => client.getKeyRotationPolicy(key.name, { ...options })),
    );
    return lifetimeActions.map(({ action }) => action.toLowerCase());
  }

  /**
   * Asks to change nothing about a version.
   *
   * @param version one that the key does not have
   * @throws `key-not-found` for a caller that may change keys, `access-denied` for one that may not
   */
  async changeNothing(key: KeyLocation, version: string): Promise<void> {
    const asked = this.#connection.asked("update", keyIdOf(key, version));
    await this.#connection.call(asked, undefined, (options) =>
      this.#keyClient.use(options.abortSignal, async (client) => {
        await client.updateKeyProperties(key.name, version, { ...options });
      }),
    );
  }

  async wrap(key: KeyLocation, version: string, algorithm: KeyWrapAlgorithm, dek: Uint8Array, signal?: AbortSignal): Promise<OwnedBytes> {
    return await this.#useKey("wrap", key, version, signal, async (client, options) => await client.wrapKey(algorithm, dek, options));
  }

  /** Unwraps a key. @returns the unwrapped bytes, of any length */
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

  /**
   * Draws random bytes.
   *
   * @param count 1 to 128
   */
  async randomBytes(count: number, signal: AbortSignal | undefined): Promise<OwnedBytes> {
    const asked = this.#connection.asked("random", this.#connection.location.vaultUrl);
    const random = await this.#connection.call(asked, signal, (options) =>
      this.#keyClient.use(options.abortSignal, (client) => client.getRandomBytes(count, { ...options })),
    );
    if (!isBytes(random) || random.length !== count) throw brokenAnswer(asked, `does not hold ${count} bytes`);
    return taken(random);
  }

  close(): void {
    this.#connection.close();
    this.#versionClients.clear();
  }

  async #useKey(
    operation: "wrap" | "unwrap",
    key: KeyLocation,
    version: string,
    signal: AbortSignal | undefined,
    use: (client: CryptographyClient, options: SdkCallOptions) => Promise<{ readonly result: Uint8Array }>,
  ): Promise<OwnedBytes> {
    const keyId = keyIdOf(key, version);
    const asked = this.#connection.asked(operation, keyId);
    let usedKeyId: string | undefined;
    const { result } = await this.#connection.call(asked, signal, (options) => {
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

  /**
   * Returns the client of a version. The most recently used clients are kept, because untrusted key ids decide which versions there are.
   */
  #versionClient(key: KeyLocation, version: string): GatedClient<CryptographyClient> {
    const known = this.#versionClients.get(version);
    if (known !== undefined) return known;
    const client = this.#connection.client(async (_vaultUrl, credential, options) => {
      const { CryptographyClient: Client } = await loadSdk();
      return new Client(bareKey(key, version), credential, options);
    });
    this.#versionClients.set(version, client);
    return client;
  }
}

async function loadSdk(): Promise<typeof import("@azure/keyvault-keys")> {
  try {
    return await import("@azure/keyvault-keys"); // inside `try`, or webpack refuses a package that is not there
  } catch (cause) {
    throw missingPackage("@azure/keyvault-keys", cause);
  }
}

/** No key material, so the SDK computes nothing itself; no dates and no operations, so it refuses nothing itself; no need to read. */
function bareKey(key: KeyLocation, version: string): KeyVaultKey {
  const { vaultUrl, name } = key;
  return { id: keyIdOf(key, version), name, properties: { vaultUrl, name, version } };
}

function keyVersion({ key, keyType, keyOperations, properties }: KeyVaultKey, asked: Asked): KeyVersion {
  if (keyType === undefined) throw brokenAnswer(asked, "names no key type");
  const publicKey = isBytes(key?.n) && isBytes(key.e) ? { n: copyOf(key.n), e: copyOf(key.e) } : undefined;
  const { recoveryLevel, managed } = properties;
  const traits = { keyType, operations: keyOperations, recoveryLevel, isOfCertificate: managed === true, publicKey };
  return { ...versionStateOf(properties, asked), ...traits };
}

/** A copy of its own. The SDK's result is a view of memory that Node shares out, and is wiped. */
function taken(result: Uint8Array): OwnedBytes {
  const bytes = copyOf(result);
  wipe(result);
  return bytes;
}

const MAX_VERSION_CLIENTS = 32;
