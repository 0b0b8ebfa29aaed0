import type { KeyVaultSecret, SecretClient } from "@azure/keyvault-secrets";
import { fromBase64Url } from "../../src/core/base/bytes.ts";
import type { Clock } from "../../src/core/base/clock.ts";
import { EnvelockError } from "../../src/core/base/errors.ts";
import { RecentMap } from "../../src/core/base/recent-map.ts";
import { SingleFlights } from "../../src/core/base/single-flight.ts";
import type { KeyProvider } from "../../src/core/contracts/key-provider.ts";
import { fieldOf, textFieldOf } from "../http/fields.ts";
import { type Asked, brokenAnswer } from "./failures.ts";
import { type KeyLocation, keyIdOf } from "./key-url.ts";
import { type VersionSource, type VersionState, versionStateOf } from "./key-versions.ts";
import type { GatedClient } from "./sdk/first-call.ts";
import { missingPackage, type VaultConnection } from "./sdk/vault-connection.ts";

/** The versions of a secret, each of which is an AES-256 key. The most recently used ones are kept for `keepMs`. */
export class SecretKeks implements VersionSource<VersionState> {
  readonly #connection: VaultConnection;
  readonly #secret: KeyLocation;
  readonly #clock: Clock;
  readonly #keepMs: number;
  readonly #client: GatedClient<SecretClient>;
  readonly #kept: RecentMap<string, KeptKek> = new RecentMap({ maxEntries: MAX_KEPT, onLeave: dropped });
  readonly #flights: SingleFlights<string, KeptKek> = new SingleFlights();

  constructor(connection: VaultConnection, secret: KeyLocation, clock: Clock, keepMs: number) {
    this.#connection = connection;
    this.#secret = secret;
    this.#clock = clock;
    this.#keepMs = keepMs;
    this.#client = connection.client(async (vaultUrl, credential, { serviceVersion: _forKeys, ...options }) => {
      const { SecretClient: Client } = await loadSdk();
      return new Client(vaultUrl, credential, options);
    });
  }

  get pinned(): string | undefined {
    return this.#secret.version;
  }

  idOf(version: string): string {
    return keyIdOf(this.#secret, version);
  }

  /** Keeps the key that it reads. @throws what the vault answers, and as `of` */
  async read(version?: string): Promise<VersionState> {
    const { name, vaultUrl } = this.#secret;
    const asked = this.#connection.asked("read-secret", version === undefined ? `${vaultUrl}/secrets/${name}` : this.idOf(version));
    const secret = await this.#connection.call(asked, undefined, (options) =>
      this.#client.use(options.abortSignal, (client) => client.getSecret(name, { ...options, ...(version !== undefined && { version }) })),
    );
    const state = versionStateOf(secret.properties, asked);
    if (version !== undefined && state.version !== version) throw brokenAnswer(asked, "is another version");
    const { localKey } = await import("../local/local-key.ts"); // loads the core's cryptography, which no other Azure key needs
    this.#keep(state.version, localKey({ keyId: this.idOf(state.version), key: jwkOf(secret, asked) }));
    return state;
  }

  async list(): Promise<readonly VersionState[]> {
    const { name, vaultUrl } = this.#secret;
    const asked = this.#connection.asked("read-secret", `${vaultUrl}/secrets/${name}/versions`);
    return await this.#connection.call(asked, undefined, (options) =>
      this.#client.use(options.abortSignal, async (client) => {
        const states: VersionState[] = [];
        for await (const properties of client.listPropertiesOfSecretVersions(name, { ...options })) {
          states.push(versionStateOf(properties, asked));
        }
        return states;
      }),
    );
  }

  /**
   * Runs `work` with the key of a version, which is wiped at the earliest when `work` has ended. Concurrent callers share one read.
   *
   * @throws `provider-failure` if the secret is no AES-256 key, and what the vault answers
   */
  async use<T>(version: string, signal: AbortSignal | undefined, work: (kek: KeyProvider) => Promise<T>): Promise<T> {
    const kept = this.#fresh(version) ?? (await this.#flights.run(version, () => this.#fly(version), { signal }));
    kept.users++;
    try {
      return await work(kept.kek);
    } finally {
      kept.users--;
      if (kept.isDropped) wipeUnused(kept);
    }
  }

  async close(): Promise<void> {
    this.#connection.close();
    this.#kept.clear();
  }

  #fresh(version: string): KeptKek | undefined {
    const kept = this.#kept.get(version);
    if (kept !== undefined && this.#clock.unixMs() < kept.untilMs) return kept;
    this.#kept.delete(version);
    return undefined;
  }

  async #fly(version: string): Promise<KeptKek> {
    await this.read(version);
    const kept = this.#kept.get(version);
    if (kept === undefined) throw new EnvelockError("closed", "this Azure key has been closed");
    return kept;
  }

  #keep(version: string, kek: KeyProvider): void {
    this.#connection.requireOpen(); // otherwise the key would outlive `close`
    this.#kept.set(version, { kek, untilMs: this.#clock.unixMs() + this.#keepMs, users: 0, isDropped: false });
  }
}

/** A key that was read, and the number of calls that use it now. */
interface KeptKek {
  readonly kek: KeyProvider;
  readonly untilMs: number;
  users: number;
  isDropped: boolean;
}

function dropped(kept: KeptKek): void {
  kept.isDropped = true;
  wipeUnused(kept);
}

/** Wipes a dropped key once no call uses it. */
function wipeUnused({ kek, users }: KeptKek): void {
  if (users === 0) void kek.close?.();
}

/** Parses the key in a secret: a JWK, or 32 bytes in base64 or base64url. An error shows nothing of the value. */
function jwkOf({ value = "" }: KeyVaultSecret, asked: Asked): { readonly kty: "oct"; readonly k: string } {
  const text = value.trim();
  const k = text.startsWith("{") ? jwkMember(text) : text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
  if (k !== undefined && fromBase64Url(k)?.length === KEK_BYTES) return { kty: "oct", k };
  throw new EnvelockError("provider-failure", `the secret at ${asked.of} is no AES-256 key`, {
    detail: "secret-format",
    hint: 'store 32 random bytes in base64, or a JWK with kty "oct" and 32 bytes in k',
  });
}

function jwkMember(text: string): string | undefined {
  try {
    const jwk: unknown = JSON.parse(text);
    return fieldOf(jwk, "kty") === "oct" ? textFieldOf(jwk, "k") : undefined;
  } catch {
    return undefined; // the parser's own message may quote the key
  }
}

async function loadSdk(): Promise<typeof import("@azure/keyvault-secrets")> {
  try {
    return await import("@azure/keyvault-secrets"); // inside `try`, or webpack refuses a package that is not there
  } catch (cause) {
    throw missingPackage("@azure/keyvault-secrets", cause);
  }
}

const KEK_BYTES = 32;
const MAX_KEPT = 32;
