import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHash,
  generateKeyPairSync,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
  randomUUID,
} from "node:crypto";
import { allows } from "../emulator/aws-credentials.ts";
import { AwsAnswer, invalidCiphertext } from "./answer.ts";

export type KmsKeySpec = "SYMMETRIC_DEFAULT" | "RSA_2048" | "RSA_3072" | "RSA_4096";

export type KmsKeyState = "Enabled" | "Disabled" | "PendingDeletion" | "PendingImport" | "Unavailable" | "Creating";

export interface KmsKeyTraits {
  /** Default `SYMMETRIC_DEFAULT`. */
  readonly spec?: KmsKeySpec;
  /** Default `eu-central-1`. */
  readonly region?: string;
  /** Default `111122223333`. */
  readonly account?: string;
  /** Whether it can have replicas: its id begins with `mrk-`. Default false. */
  readonly multiRegion?: boolean;
  /** When imported key material expires, in milliseconds since 1970. Default: the service made the material, which does not. */
  readonly validToMs?: number;
  /** Actions that the key policy allows, by the ARN of a principal or `*`. Default: every principal, within its own policy. */
  readonly policy?: Readonly<Record<string, readonly string[]>>;
}

/** One key material with its id, which differs for each rotation. */
interface Material {
  readonly id: string;
  readonly bytes: Buffer;
  readonly createdAtMs: number;
}

/** The part that a multi-region key and its replicas share. */
interface Shared {
  readonly id: string;
  readonly materials: Material[];
  readonly pair: { readonly publicKey: KeyObject; readonly privateKey: KeyObject } | undefined;
}

/** A key: real AES-GCM with the encryption context as associated data, or real RSA-OAEP. */
export class KmsKey {
  readonly arn: string;
  readonly spec: KmsKeySpec;
  readonly createdAtMs: number;
  state: KmsKeyState = "Enabled";
  deletionAtMs: number | undefined;
  isRotated = false;
  /** When imported key material expires, in milliseconds since 1970. */
  validToMs: number | undefined;
  readonly #shared: Shared;
  readonly #traits: KmsKeyTraits;

  private constructor(arn: string, traits: KmsKeyTraits, nowMs: number, shared: Shared) {
    this.arn = arn;
    this.spec = traits.spec ?? "SYMMETRIC_DEFAULT";
    this.createdAtMs = nowMs;
    this.validToMs = traits.validToMs;
    this.#traits = traits;
    this.#shared = shared;
  }

  static create(traits: KmsKeyTraits, region: string, account: string, nowMs: number): KmsKey {
    const id = traits.multiRegion === true ? `mrk-${randomBytes(16).toString("hex")}` : randomUUID();
    const bits = Number(/\d+/.exec(traits.spec ?? "")?.[0] ?? 0);
    const pair = bits === 0 ? undefined : generateKeyPairSync("rsa", { modulusLength: bits });
    const key = new KmsKey(arnOf(region, account, id), traits, nowMs, { id, materials: [], pair });
    if (pair === undefined) key.rotate(nowMs);
    return key;
  }

  /** The same key in another region. */
  replicate(region: string, nowMs: number): KmsKey {
    return new KmsKey(arnOf(region, this.account, this.id), this.#traits, nowMs, this.#shared);
  }

  /** The key policy as JSON. Without one of its own, that of the service, which leaves everything to the account. */
  get policyDocument(): string {
    const { policy = { [`arn:aws:iam::${this.account}:root`]: ["kms:*"] } } = this.#traits;
    const statements = Object.entries(policy).map(([principal, actions]) => ({
      Effect: "Allow",
      Principal: principal === "*" ? "*" : { AWS: principal },
      Action: actions,
      Resource: "*",
    }));
    return JSON.stringify({ Version: "2012-10-17", Statement: statements });
  }

  get id(): string {
    return this.#shared.id;
  }

  get region(): string {
    return this.arn.split(":")[3] ?? "";
  }

  get account(): string {
    return this.arn.split(":")[4] ?? "";
  }

  get isMultiRegion(): boolean {
    return this.id.startsWith("mrk-");
  }

  get isSymmetric(): boolean {
    return this.#shared.pair === undefined;
  }

  get publicKey(): Buffer | undefined {
    return this.#shared.pair?.publicKey.export({ type: "spki", format: "der" });
  }

  get currentMaterialId(): string | undefined {
    return this.#shared.materials.at(-1)?.id;
  }

  /** The time at which each key material but the first was made. */
  get rotations(): readonly { readonly id: string; readonly atMs: number }[] {
    return this.#shared.materials.slice(1).map(({ id, createdAtMs }) => ({ id, atMs: createdAtMs }));
  }

  rotate(nowMs: number): void {
    const bytes = randomBytes(32);
    this.#shared.materials.push({ id: createHash("sha256").update("material").update(bytes).digest("hex"), bytes, createdAtMs: nowMs });
  }

  isAllowed(principal: string, action: string): boolean {
    const policy = this.#traits.policy ?? { "*": ["*"] };
    return allows([...(policy["*"] ?? []), ...(policy[principal] ?? [])], action);
  }

  /** @throws `DisabledException`, `KMSInvalidStateException`, `KeyUnavailableException` */
  requireUsable(): void {
    if (this.state === "Enabled") return;
    if (this.state === "Disabled") throw new AwsAnswer("DisabledException", `${this.arn} is disabled.`);
    if (this.state === "Unavailable") throw new AwsAnswer("KeyUnavailableException", `${this.arn} is unavailable.`);
    const words = this.state.replaceAll(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase();
    throw new AwsAnswer("KMSInvalidStateException", `${this.arn} is ${words}.`);
  }

  encrypt(plaintext: Uint8Array, context: Readonly<Record<string, string>>): Buffer {
    const { pair, materials } = this.#shared;
    if (pair !== undefined) {
      const most = (pair.publicKey.asymmetricKeyDetails?.modulusLength ?? 0) / 8 - 66;
      if (plaintext.length > most) throw new AwsAnswer("ValidationException", `Algorithm RSAES_OAEP_SHA_256 takes at most ${most} bytes`);
      return publicEncrypt({ key: pair.publicKey, ...OAEP_SHA_256 }, plaintext);
    }
    const material = materials.at(-1);
    if (material === undefined) throw invalidCiphertext();
    const head = Buffer.concat([Buffer.of(1, this.id.length), Buffer.from(this.id), Buffer.from(material.id, "hex"), randomBytes(12)]);
    const cipher = createCipheriv("aes-256-gcm", material.bytes, head.subarray(-12)).setAAD(associated(head, context));
    const body = Buffer.concat([cipher.update(plaintext), cipher.final()]);
    return Buffer.concat([head, body, cipher.getAuthTag()]);
  }

  /** @throws `InvalidCiphertextException` */
  decrypt(
    blob: Buffer,
    context: Readonly<Record<string, string>>,
  ): { readonly plaintext: Buffer; readonly materialId: string | undefined } {
    const { pair, materials } = this.#shared;
    try {
      if (pair !== undefined) return { plaintext: privateDecrypt({ key: pair.privateKey, ...OAEP_SHA_256 }, blob), materialId: undefined };
      const headLength = 2 + this.id.length + 32 + 12;
      const head = blob.subarray(0, headLength);
      const materialId = head.subarray(-44, -12).toString("hex");
      const material = materials.find(({ id }) => id === materialId);
      if (idIn(blob) !== this.id || material === undefined || blob.length < headLength + 16) throw invalidCiphertext();
      const cipher = createDecipheriv("aes-256-gcm", material.bytes, head.subarray(-12), { authTagLength: 16 });
      cipher.setAAD(associated(head, context)).setAuthTag(blob.subarray(-16));
      return { plaintext: Buffer.concat([cipher.update(blob.subarray(headLength, -16)), cipher.final()]), materialId };
    } catch {
      throw invalidCiphertext();
    }
  }
}

/** Returns the id of the key that a blob names; undefined if it names none. */
export function idIn(blob: Buffer): string | undefined {
  const [version, length = 0] = blob;
  return version === 1 && blob.length > 2 + length ? blob.subarray(2, 2 + length).toString("latin1") : undefined;
}

export function isKmsKeySpec(text: string): text is KmsKeySpec {
  return SPECS.has(text);
}

/** Encodes the head of the blob and the sorted pairs, each text after its length: `{a: "bc"}` differs from `{ab: "c"}`. */
function associated(head: Buffer, context: Readonly<Record<string, string>>): Buffer {
  const pairs = Object.entries(context).sort(([a], [b]) => (a < b ? -1 : 1));
  return Buffer.concat([head, ...pairs.flat().flatMap((text) => [lengthOf(text), Buffer.from(text)])]);
}

function lengthOf(text: string): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(Buffer.byteLength(text));
  return length;
}

function arnOf(region: string, account: string, id: string): string {
  const partition = region.startsWith("cn-") ? "aws-cn" : region.startsWith("us-gov-") ? "aws-us-gov" : "aws";
  return `arn:${partition}:kms:${region}:${account}:key/${id}`;
}

const SPECS: ReadonlySet<string> = new Set(["SYMMETRIC_DEFAULT", "RSA_2048", "RSA_3072", "RSA_4096"]);
const OAEP_SHA_256 = { oaepHash: "sha256", padding: constants.RSA_PKCS1_OAEP_PADDING } as const;
