import { fromBase64 } from "../../core/base/base64.ts";
import type { OwnedBytes } from "../../core/base/bytes.ts";
import { EnvelockError, malformed } from "../../core/base/errors.ts";
import { parseJsonObject } from "../json-object.ts";
import { foldedMetadata, type StoredMetadata } from "../metadata.ts";

/** How the data key of an object is wrapped. */
export type S3Wrapping = "aes" | "rsa" | "kms";

/** What stands beside an object, checked. Format 3 commits to its key, format 2 does not. */
export type S3Description = FormatTwo | FormatThree;

interface Wrapped {
  readonly wrapping: S3Wrapping;
  readonly wrappedKey: OwnedBytes;
  /** The name of the content algorithm, which is bound to the wrapped key. */
  readonly algorithm: string;
  /** The material description of AES and RSA keys; the encryption context of KMS. */
  readonly description: ReadonlyMap<string, string>;
}

export interface FormatTwo extends Wrapped {
  readonly format: 2;
  readonly startingBytes: OwnedBytes;
}

export interface FormatThree extends Wrapped {
  readonly format: 3;
  readonly messageId: OwnedBytes;
  readonly commitment: OwnedBytes;
}

/**
 * Parses what stands beside an object. `c`, `d` and `i` of format 3 count only in the object's own metadata: an instruction file that
 * could state them would exchange the commitment together with the key.
 *
 * @param instructionFile the text of the object `NAME.instruction`
 * @throws `malformed-envelope`, with `detail` `not-encrypted` if nothing says that the object is encrypted; `unsupported-version`
 */
export function s3DescriptionOf(metadata: StoredMetadata | undefined, instructionFile: string | undefined): S3Description {
  const own = foldedMetadata(metadata);
  const instruction = instructionFile === undefined ? NOTHING : foldedInstruction(instructionFile);
  if (THREE_OWN.some((name) => own.has(name)) || own.has(KEY_THREE)) return formatThree(own, instruction);
  if (instruction.has(KEY_THREE) || THREE_OWN.some((name) => instruction.has(name))) {
    throw malformed(`${THREE_OWN.join(", ")} count in the object's own metadata alone, and stand in the instruction file`);
  }
  if (own.has(KEY_TWO)) return formatTwo(own);
  if (instruction.has(KEY_TWO)) return formatTwo(instruction);
  if (own.has(KEY_ONE) || instruction.has(KEY_ONE))
    throw unsupported("format 1", "its bodies are not authenticated: decrypt them with the client that wrote them");
  throw new EnvelockError("malformed-envelope", "neither the metadata nor an instruction file says how the object is encrypted", {
    detail: "not-encrypted",
    hint: "if the client kept it in an instruction file, give the text of the object NAME.instruction",
  });
}

/** Whether something beside an object says that it is encrypted. @throws as `s3DescriptionOf` for what cannot be read at all */
export function isS3Encrypted(metadata: StoredMetadata | undefined, instructionFile: string | undefined): boolean {
  if (instructionFile !== undefined) return true;
  const own = foldedMetadata(metadata);
  return [KEY_ONE, KEY_TWO, KEY_THREE, ...THREE_OWN].some((name) => own.has(name));
}

function formatTwo(members: ReadonlyMap<string, string>): FormatTwo {
  const [algorithm, wrapName] = [required(members, "x-amz-cek-alg"), required(members, "x-amz-wrap-alg")];
  if (algorithm !== "AES/GCM/NoPadding") throw unsupported(`content algorithm ${algorithm.slice(0, 40)} of format 2`);
  const wrapping = WRAPPINGS_TWO.get(wrapName);
  if (wrapping === undefined)
    throw unsupported(`wrapping ${wrapName.slice(0, 40)} of format 2`, "legacy wrappings bind no content algorithm");
  const tagBits = members.get("x-amz-tag-len");
  if (tagBits !== undefined && tagBits !== "128") throw malformed(`x-amz-tag-len is ${tagBits.slice(0, 10)}, expected 128`);
  const startingBytes = bytesIn(members, "x-amz-iv", 12);
  return {
    format: 2,
    wrapping,
    algorithm,
    wrappedKey: bytesIn(members, KEY_TWO),
    startingBytes,
    description: textsIn(members, "x-amz-matdesc", wrapping === "kms"),
  };
}

function formatThree(own: ReadonlyMap<string, string>, instruction: ReadonlyMap<string, string>): FormatThree {
  if (own.has(KEY_TWO)) throw malformed("the metadata is of format 2 and of format 3");
  const misplaced = THREE_OWN.find((name) => instruction.has(name));
  if (misplaced !== undefined)
    throw malformed(`${misplaced} counts in the object's own metadata alone, and stands in the instruction file`);
  const algorithm = required(own, "x-amz-c");
  if (algorithm !== "115") throw unsupported(`content algorithm ${algorithm.slice(0, 40)} of format 3`);
  const members = own.has(KEY_THREE) ? own : instruction;
  const wrapName = required(members, "x-amz-w");
  const wrapping = WRAPPINGS_THREE.get(wrapName);
  if (wrapping === undefined) throw unsupported(`wrapping ${wrapName.slice(0, 40)} of format 3`);
  const description = textsIn(members, wrapping === "kms" ? "x-amz-t" : "x-amz-m", wrapping === "kms");
  const [messageId, commitment] = [bytesIn(own, "x-amz-i", 28), bytesIn(own, "x-amz-d", 28)];
  return { format: 3, wrapping, algorithm, wrappedKey: bytesIn(members, KEY_THREE), messageId, commitment, description };
}

function foldedInstruction(text: string): ReadonlyMap<string, string> {
  return foldedMetadata(Object.fromEntries(parseJsonObject(text, "the instruction file").texts()));
}

function required(members: ReadonlyMap<string, string>, name: string): string {
  const text = members.get(name);
  if (text !== undefined && text !== "") return text;
  throw malformed(`what stands beside the object lacks ${name}`);
}

function bytesIn(members: ReadonlyMap<string, string>, name: string, expected?: number): OwnedBytes {
  const bytes = fromBase64(required(members, name));
  if (bytes === undefined) throw malformed(`${name} must be base64`);
  if (expected !== undefined && bytes.length !== expected) throw malformed(`${name} has ${bytes.length} bytes, expected ${expected}`);
  return bytes;
}

function textsIn(members: ReadonlyMap<string, string>, name: string, isRequired: boolean): ReadonlyMap<string, string> {
  const text = isRequired ? required(members, name) : members.get(name);
  return text === undefined ? NOTHING : parseJsonObject(text, name).texts();
}

function unsupported(what: string, hint = "formats 2 and 3 with AES-GCM are read, under AES, RSA and KMS keys"): EnvelockError {
  return new EnvelockError("unsupported-version", `${what} of the S3 Encryption Client is not read`, { hint });
}

const NOTHING: ReadonlyMap<string, string> = new Map();
const KEY_ONE = "x-amz-key";
const KEY_TWO = "x-amz-key-v2";
const KEY_THREE = "x-amz-3";
/** What counts in the object's own metadata alone. */
const THREE_OWN: readonly string[] = ["x-amz-c", "x-amz-d", "x-amz-i"];
const WRAPPINGS_TWO: ReadonlyMap<string, S3Wrapping> = new Map([
  ["AES/GCM", "aes"],
  ["RSA-OAEP-SHA1", "rsa"],
  ["kms+context", "kms"],
]);
const WRAPPINGS_THREE: ReadonlyMap<string, S3Wrapping> = new Map([
  ["02", "aes"],
  ["22", "rsa"],
  ["12", "kms"],
]);
