import { EnvelockError, invalidArgument } from "../../src/core/base/errors.ts";
import { isCryptoKey, type KeyShape, type LocalKeyMaterial } from "./key-forms.ts";

/** A CryptoKey of WebCrypto, member by member, so that no type of the DOM is needed. */
export interface HeldKey {
  readonly type: "private" | "public" | "secret";
  readonly extractable: boolean;
  readonly algorithm: { readonly name: string };
  readonly usages: HeldKeyUsage[];
}

export type HeldKeyUsage = "decrypt" | "deriveBits" | "deriveKey" | "encrypt" | "sign" | "unwrapKey" | "verify" | "wrapKey";

/** What a CryptoKey must be to serve without being exported. */
export interface HeldKeyKind {
  readonly algorithm: string;
  readonly type: "secret" | "private";
  readonly bits?: number;
  /** One of them is enough. */
  readonly usages: readonly HeldKeyUsage[];
  /** The way to generate or import such a key. */
  readonly hint: string;
}

/**
 * Returns the CryptoKey that is used where it is, because it is not extractable; undefined for every other form of a key.
 *
 * @param kind undefined if WebCrypto cannot do what the key is for
 * @throws `invalid-argument` if it is of another algorithm, length or usage
 */
export function heldKey(material: LocalKeyMaterial, { what }: KeyShape, kind: HeldKeyKind | undefined): HeldKey | undefined {
  if (!isCryptoKey(material) || !(material instanceof CryptoKey) || material.extractable) return undefined;
  if (kind === undefined) {
    throw new EnvelockError("invalid-argument", `${what} cannot serve as a CryptoKey that is not extractable`, {
      hint: "give its bytes or a JWK",
    });
  }
  const { algorithm, type, usages } = material;
  const bits = "length" in algorithm ? algorithm.length : undefined;
  const found = [`${algorithm.name}${bits === undefined ? "" : ` of ${bits} bits`}`, type, `for ${usages.join(", ") || "nothing"}`].join(
    ", ",
  );
  const isKind = algorithm.name === kind.algorithm && type === kind.type && (kind.bits === undefined || bits === kind.bits);
  if (isKind && kind.usages.some((usage) => usages.includes(usage))) return material;
  throw invalidArgument(
    `${what} that is not extractable must be a CryptoKey of ${kind.algorithm} for ${kind.usages.join(" or ")}; it is one of ${found}`,
    kind.hint,
  );
}
