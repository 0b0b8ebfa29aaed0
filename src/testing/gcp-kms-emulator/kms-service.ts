import { randomBytes } from "node:crypto";
import type { Clock } from "../../core/base/clock.ts";
import type { RawAnswer } from "../emulator/fault-plan.ts";
import { GcpAnswer } from "../emulator/google-answer.ts";
import type { IdentityServices } from "../emulator/google-identity.ts";
import { isGranted, type Principal, type Principals, requireGrant } from "../emulator/google-principals.ts";
import type { EmulatedService, LogEntry, ServedRequest } from "../emulator/loopback-server.ts";
import { exhausted, invalid, notFound } from "./answer.ts";
import { checksumOf, describedKey, describedPublicKey, describedVersion, timeText } from "./described.ts";
import { ENUMS, enumName, withNumbers } from "./enums.ts";
import { isWrongAnswerName, namedAnswer, type OwnFault, type WrongAnswerName, wrongAnswer } from "./faults.ts";
import type { KeyRings } from "./key-rings.ts";
import type { KeyVersion, KmsKey } from "./kms-key.ts";
import { RequestFields } from "./request-fields.ts";

/** One request, as the audit log records it. */
export interface LoggedRequest extends LogEntry {
  /** The operation, such as `encrypt`; undefined if the request was refused before. */
  operation: string | undefined;
  /** The email address of the principal, if its token was valid. */
  principal: string | undefined;
  /** The header `x-goog-request-params`, by which the service routes. */
  readonly routing: string | undefined;
}

/** The state of a service, read anew for each request. */
export interface KmsState {
  readonly clock: Clock;
  readonly rings: KeyRings;
  readonly principals: Principals;
  readonly identity: IdentityServices;
  /** Cryptographic requests answered per second; undefined for no limit. */
  quota: number | undefined;
}

interface Call {
  readonly name: string;
  readonly verb: string;
  readonly method: string;
  readonly query: URLSearchParams;
  readonly fields: RequestFields;
  readonly principal: Principal;
}

/** Routes of Cloud KMS over REST, beside those of the services that give tokens. */
export class KmsService implements EmulatedService<LoggedRequest, OwnFault> {
  readonly name = "gcp-kms emulator";
  readonly #state: KmsState;
  #second: { readonly at: number; count: number } = { at: 0, count: 0 };

  constructor(state: KmsState) {
    this.#state = state;
  }

  entryOf({ headers }: ServedRequest, base: LogEntry): LoggedRequest {
    return { ...base, operation: undefined, principal: undefined, routing: headers["x-goog-request-params"]?.toString() };
  }

  headersOf(): Readonly<Record<string, string>> {
    return { "content-type": "application/json; charset=UTF-8", "cache-control": "private" };
  }

  async meet(fault: OwnFault, request: ServedRequest, entry: LoggedRequest): Promise<RawAnswer> {
    if (isWrongAnswerName(fault)) return this.#answer(request, entry, fault);
    return (fault instanceof GcpAnswer ? fault : namedAnswer(fault)).raw;
  }

  async answer(request: ServedRequest, entry: LoggedRequest): Promise<RawAnswer> {
    return this.#answer(request, entry, undefined);
  }

  #answer(request: ServedRequest, entry: LoggedRequest, wrong: WrongAnswerName | undefined): RawAnswer {
    try {
      const token = this.#state.identity.answer(request);
      if (token !== undefined) {
        entry.operation = "token";
        return token;
      }
      const answer = this.#served(request, entry);
      const fields = wrong === undefined ? answer : wrongAnswer(wrong, answer);
      const wantsNumbers = /enum-encoding=int/.test(decodeURIComponent(request.url.search));
      return { status: 200, text: `${JSON.stringify(wantsNumbers ? withNumbers(fields) : fields, undefined, 2)}\n` };
    } catch (error) {
      return (error instanceof GcpAnswer ? error : new GcpAnswer(500, "INTERNAL", `${error}`)).raw;
    }
  }

  #served({ method, url, headers, body }: ServedRequest, entry: LoggedRequest): object {
    const principal = this.#state.principals.check(headers.authorization);
    entry.principal = principal.email;
    const [, name, verb = ""] = /^\/v1\/(projects\/[^:]+)(?::(\w+))?$/.exec(decodeURIComponent(url.pathname)) ?? [];
    if (name === undefined) throw notFound(url.pathname);
    const call: Call = { name, verb, method, query: url.searchParams, fields: new RequestFields(body), principal };
    entry.operation = verb === "" ? method.toLowerCase() : verb;
    if (LOCATION.test(name) && verb === "generateRandomBytes") return this.#random(call);
    if (RINGS.test(name)) return this.#rings(call);
    if (verb === "testIamPermissions") {
      return { permissions: call.fields.texts("permissions").filter((permission) => isGranted(principal, permission, name)) };
    }
    if (name.endsWith("/publicKey")) return this.#publicKey(call);
    const kind = /\/(keyRings|cryptoKeys|cryptoKeyVersions)(\/[^/]+)?$/.exec(name);
    if (kind?.[1] === "cryptoKeyVersions") return kind[2] === undefined ? this.#versions(call) : this.#version(call);
    if (kind?.[1] === "cryptoKeys") return kind[2] === undefined ? this.#keys(call) : this.#key(call);
    if (kind?.[1] === "keyRings") {
      requireGrant(principal, "cloudkms.keyRings.get", name);
      return { name, createTime: timeText(this.#state.rings.ringCreatedMs(name)) };
    }
    throw notFound(name);
  }

  #rings({ name, method, query, principal }: Call): object {
    if (method !== "POST") throw invalid("The emulator lists no key rings.");
    requireGrant(principal, "cloudkms.keyRings.create", name);
    const ring = `${name}/${query.get("keyRingId") ?? query.get("key_ring_id") ?? ""}`;
    this.#state.rings.addRing(ring);
    return { name: ring, createTime: timeText(this.#state.rings.ringCreatedMs(ring)) };
  }

  #keys({ name, method, query, fields, principal }: Call): object {
    const { rings } = this.#state;
    if (method === "GET") {
      requireGrant(principal, "cloudkms.cryptoKeys.list", name);
      const keys = rings.keysIn(name.slice(0, -"/cryptoKeys".length));
      return { cryptoKeys: keys.map(describedKey), totalSize: keys.length };
    }
    requireGrant(principal, "cloudkms.cryptoKeys.create", name);
    const template = fields.object("versionTemplate");
    const algorithm = enumName(ENUMS.algorithm, template.get("algorithm"));
    const protectionLevel = enumName(ENUMS.protectionLevel, template.get("protectionLevel"));
    const id = query.get("cryptoKeyId") ?? query.get("crypto_key_id") ?? "";
    const traits = { ...(algorithm !== undefined && { algorithm }), ...(protectionLevel !== undefined && { protectionLevel }) };
    return describedKey(rings.addKey(`${name}/${id}`, traits));
  }

  #key({ name, verb, method, fields, principal }: Call): object {
    const { rings } = this.#state;
    if (verb === "encrypt") {
      requireGrant(principal, USE_TO_ENCRYPT, name);
      const key = rings.key(name);
      return this.#encrypted(key, key.version(key.primary), fields);
    }
    if (verb === "decrypt") {
      requireGrant(principal, USE_TO_DECRYPT, name);
      const key = rings.key(name);
      this.#meter();
      const ciphertext = fields.checked("ciphertext");
      const aad = fields.checked("additionalAuthenticatedData");
      const { plaintext, version } = key.decrypt(ciphertext.bytes, aad.bytes);
      const { protectionLevel } = key;
      return { ...withChecksum("plaintext", plaintext), usedPrimary: version.number === key.primary, protectionLevel };
    }
    if (verb === "updatePrimaryVersion") {
      requireGrant(principal, "cloudkms.cryptoKeys.update", name);
      const key = rings.key(name);
      key.primary = key.version(Number(fields.text("cryptoKeyVersionId"))).number;
      return describedKey(key);
    }
    if (verb !== "" || method !== "GET") throw notFound(`${method} ${name}:${verb}`);
    requireGrant(principal, "cloudkms.cryptoKeys.get", name);
    return describedKey(rings.key(name));
  }

  #versions({ name, method, principal }: Call): object {
    const key = this.#state.rings.key(name.slice(0, -"/cryptoKeyVersions".length));
    if (method === "GET") {
      requireGrant(principal, "cloudkms.cryptoKeyVersions.list", name);
      return { cryptoKeyVersions: key.versions.map((version) => describedVersion(key, version)), totalSize: key.versions.length };
    }
    requireGrant(principal, "cloudkms.cryptoKeyVersions.create", name);
    return describedVersion(key, key.addVersion(this.#state.clock.unixMs()));
  }

  #version({ name, verb, method, fields, principal }: Call): object {
    requireGrant(principal, VERSION_PERMISSIONS[verb === "" ? method : verb] ?? "cloudkms.none", name);
    const { rings } = this.#state;
    const version = rings.version(name);
    const key = rings.key(name.replace(/\/cryptoKeyVersions\/.*/, ""));
    if (verb === "encrypt") return this.#encrypted(key, version, fields);
    if (verb === "asymmetricDecrypt") {
      this.#meter();
      const { bytes, wasVerified } = fields.checked("ciphertext");
      const plaintext = key.asymmetricDecrypt(version, bytes);
      return { ...withChecksum("plaintext", plaintext), verifiedCiphertextCrc32c: wasVerified, protectionLevel: key.protectionLevel };
    }
    if (verb === "destroy") version.state = "DESTROY_SCHEDULED";
    else if (verb === "restore") version.state = "DISABLED";
    else if (method === "PATCH") {
      const state = enumName(ENUMS.state, fields.get("state"));
      if (state !== "ENABLED" && state !== "DISABLED") throw invalid("The state can be set to ENABLED or DISABLED alone.");
      version.state = state;
    }
    return describedVersion(key, version);
  }

  #publicKey({ name, principal }: Call): object {
    const version = name.slice(0, -"/publicKey".length);
    requireGrant(principal, "cloudkms.cryptoKeyVersions.viewPublicKey", version);
    return describedPublicKey(this.#state.rings.key(version.replace(/\/cryptoKeyVersions\/.*/, "")), this.#state.rings.version(version));
  }

  #random({ name, fields, principal }: Call): object {
    requireGrant(principal, "cloudkms.locations.generateRandomBytes", name);
    const count = fields.integer("lengthBytes") ?? 0;
    if (count < 8 || count > 1024) throw invalid("length_bytes must be between 8 and 1024.");
    if (enumName(ENUMS.protectionLevel, fields.get("protectionLevel")) !== "HSM") throw invalid("protection_level must be HSM.");
    return withChecksum("data", randomBytes(count));
  }

  #encrypted(key: KmsKey, version: KeyVersion, fields: RequestFields): object {
    this.#meter();
    const plaintext = fields.checked("plaintext");
    const aad = fields.checked("additionalAuthenticatedData");
    return {
      name: version.name,
      ...withChecksum("ciphertext", key.encrypt(version, plaintext.bytes, aad.bytes)),
      verifiedPlaintextCrc32c: plaintext.wasVerified,
      verifiedAdditionalAuthenticatedDataCrc32c: aad.wasVerified,
      protectionLevel: key.protectionLevel,
    };
  }

  #meter(): void {
    const at = Math.floor(this.#state.clock.unixMs() / 1000);
    if (this.#second.at !== at) this.#second = { at, count: 0 };
    this.#second.count++;
    if (this.#state.quota !== undefined && this.#second.count > this.#state.quota) throw exhausted();
  }
}

function withChecksum(field: string, bytes: Buffer): object {
  return { [field]: bytes.toString("base64"), [`${field}Crc32c`]: checksumOf(bytes) };
}

const LOCATION = /^projects\/[^/]+\/locations\/[^/]+$/;
const RINGS = /^projects\/[^/]+\/locations\/[^/]+\/keyRings$/;
const USE_TO_ENCRYPT = "cloudkms.cryptoKeyVersions.useToEncrypt";
const USE_TO_DECRYPT = "cloudkms.cryptoKeyVersions.useToDecrypt";
const VERSION_PERMISSIONS: Readonly<Record<string, string>> = {
  encrypt: USE_TO_ENCRYPT,
  asymmetricDecrypt: USE_TO_DECRYPT,
  destroy: "cloudkms.cryptoKeyVersions.destroy",
  restore: "cloudkms.cryptoKeyVersions.restore",
  PATCH: "cloudkms.cryptoKeyVersions.update",
  GET: "cloudkms.cryptoKeyVersions.get",
};
