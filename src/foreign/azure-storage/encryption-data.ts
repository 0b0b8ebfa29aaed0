import { toBase64 } from "../../core/base/base64.ts";
import type { OwnedBytes } from "../../core/base/bytes.ts";
import { EnvelockError, malformed } from "../../core/base/errors.ts";
import type { WrappedKey } from "../../core/contracts/key-wrapper.ts";
import { type JsonObject, parseJsonObject, withMember } from "../json-object.ts";
import { foldedMetadata, type StoredMetadata } from "../metadata.ts";
import { LARGEST_REGION_BYTES, NONCE_BYTES } from "./regions.ts";

/** A version of Azure Storage client-side encryption. */
export type StorageProtocol = "1.0" | "2.0" | "2.1";

/** What `encryptiondata` says, checked. Nothing in it is authenticated, except for the protocol of 2.0 and 2.1 inside the wrapped key. */
export type EncryptionData = RegionData | CbcData;

export interface RegionData {
  readonly protocol: "2.0" | "2.1";
  readonly wrapped: WrappedKey;
  /** The plaintext bytes of every region but the last. */
  readonly regionBytes: number;
}

export interface CbcData {
  readonly protocol: "1.0";
  readonly wrapped: WrappedKey;
  readonly firstBlock: OwnedBytes;
}

export interface ReadRules {
  readonly readsV1: boolean;
  readonly maxRegionBytes: number;
}

/**
 * Finds and parses the encryption data of a blob. The name is matched without regard to case.
 *
 * @throws `malformed-envelope`, with `detail` `not-encrypted` if there is none, and `region-too-large` above `maxRegionBytes`;
 *   `unsupported-version`
 */
export function encryptionDataOf(metadata: StoredMetadata | undefined, rules: ReadRules): EncryptionData {
  return parseEncryptionData(encryptionTextOf(metadata), rules);
}

/** Whether metadata has encryption data at all. @throws as `foldedMetadata` */
export function hasEncryptionData(metadata: StoredMetadata | undefined): boolean {
  return foldedMetadata(metadata).has(ENCRYPTION_DATA);
}

/** Finds the text of the encryption data. @throws `malformed-envelope`, with `detail` `not-encrypted` if there is none */
export function encryptionTextOf(metadata: StoredMetadata | undefined): string {
  const text = foldedMetadata(metadata).get(ENCRYPTION_DATA);
  if (text !== undefined) return text;
  throw new EnvelockError("malformed-envelope", `the blob has no metadata ${ENCRYPTION_DATA}, so this format did not encrypt it`, {
    detail: "not-encrypted",
    hint: "a blob that another program gave new metadata has lost it for good; its bytes are never handed out as they are",
  });
}

// The order of the checks decides the code: types, protocol and algorithm, lengths. Key id and wrapped key follow elsewhere.
function parseEncryptionData(text: string, { readsV1, maxRegionBytes }: ReadRules): EncryptionData {
  const data = parseJsonObject(text, ENCRYPTION_DATA);
  const key = data.object("WrappedContentKey");
  const wrapped = { keyId: key.text("KeyId"), algorithm: key.text("Algorithm"), wrapped: key.bytes("EncryptedKey") };
  const agent = data.object("EncryptionAgent");
  const [protocol, algorithm] = [agent.text("Protocol"), agent.text("EncryptionAlgorithm")];
  if (!isProtocol(protocol)) throw unsupported(`protocol ${protocol.slice(0, 20)}`);
  if (!KNOWN_ALGORITHMS.has(algorithm)) throw unsupported(`algorithm ${algorithm.slice(0, 40)}`);
  if (algorithm !== ALGORITHMS[protocol]) throw malformed(`protocol ${protocol} needs ${ALGORITHMS[protocol]}, not ${algorithm}`);
  if (protocol !== "1.0") return { protocol, wrapped, regionBytes: regionBytesOf(data.object("EncryptedRegionInfo"), maxRegionBytes) };
  if (!readsV1) throw versionOneRefused();
  const firstBlock = data.bytes("ContentEncryptionIV");
  if (firstBlock.length !== CBC_BLOCK_BYTES) throw malformed(`ContentEncryptionIV has ${firstBlock.length} bytes, expected 16`);
  return { protocol, wrapped, firstBlock };
}

function regionBytesOf(region: JsonObject, maxRegionBytes: number): number {
  const regionBytes = region.integer("DataLength", 1, LARGEST_REGION_BYTES);
  region.integer("NonceLength", NONCE_BYTES, NONCE_BYTES);
  if (regionBytes <= maxRegionBytes) return regionBytes;
  throw new EnvelockError(
    "malformed-envelope",
    `the blob has regions of ${regionBytes} bytes, more than maxRegionBytes, ${maxRegionBytes}`,
    {
      detail: "region-too-large",
      hint: "a region is verified as a whole and so held in memory: raise maxRegionBytes if there is room for two of them",
    },
  );
}

/** Writes encryption data as Microsoft's Python library does, blanks and order included. */
export function encryptionTextFor({ protocol, wrapped, regionBytes }: RegionData): string {
  const { keyId, algorithm } = wrapped;
  const key = `{"KeyId": ${inAscii(JSON.stringify(keyId))}, "EncryptedKey": "${toBase64(wrapped.wrapped)}", "Algorithm": "${algorithm}"}`;
  const agent = `{"Protocol": "${protocol}", "EncryptionAlgorithm": "${ALGORITHMS[protocol]}"}`;
  const region = `{"DataLength": ${regionBytes}, "NonceLength": ${NONCE_BYTES}}`;
  const made = `"KeyWrappingMetadata": {"EncryptionLibrary": "Envelock"}, "EncryptionMode": "FullBlob"`;
  return `{"WrappedContentKey": ${key}, "EncryptionAgent": ${agent}, "EncryptedRegionInfo": ${region}, ${made}}`;
}

/**
 * Puts another wrapped key into encryption data that `encryptionDataOf` has read. Every other member stays to the letter, also one that is
 * not known here. Line breaks, which no header can hold, become blanks.
 */
export function withWrappedKey(text: string, { keyId, algorithm, wrapped }: WrappedKey): string {
  const key = JSON.stringify({ KeyId: keyId, EncryptedKey: toBase64(wrapped), Algorithm: algorithm });
  return inAscii(withMember(text, "WrappedContentKey", key)).replace(/[\t\n\r]/g, " ");
}

/** Writes JSON text in ASCII alone: metadata travels in HTTP headers. Beyond ASCII, JSON has characters only inside its strings. */
function inAscii(json: string): string {
  return json.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function unsupported(what: string): EnvelockError {
  return new EnvelockError("unsupported-version", `${what} of Azure Storage client-side encryption is not known`, {
    hint: "protocols 2.0 and 2.1 are read, and 1.0 with dangerReadV1",
  });
}

function versionOneRefused(): EnvelockError {
  return new EnvelockError("unsupported-version", "the blob is encrypted with protocol 1.0, which authenticates nothing", {
    detail: "protocol-1.0",
    hint: "read it with dangerReadV1: true, compare it with a digest from elsewhere, and store it again",
  });
}

function isProtocol(protocol: string): protocol is StorageProtocol {
  return Object.hasOwn(ALGORITHMS, protocol);
}

export const ENCRYPTION_DATA = "encryptiondata";
const CBC_BLOCK_BYTES = 16;
const ALGORITHMS: Readonly<Record<StorageProtocol, string>> = { "1.0": "AES_CBC_256", "2.0": "AES_GCM_256", "2.1": "AES_GCM_256" };
const KNOWN_ALGORITHMS: ReadonlySet<string> = new Set(Object.values(ALGORITHMS));
