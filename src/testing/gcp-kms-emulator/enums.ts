/** Enumerations of the service with their numbers. The official client requests numbers by `$alt=json;enum-encoding=int`. */
export const ENUMS = {
  protectionLevel: { SOFTWARE: 1, HSM: 2, EXTERNAL: 3, EXTERNAL_VPC: 4 },
  state: {
    ENABLED: 1,
    DISABLED: 2,
    DESTROYED: 3,
    DESTROY_SCHEDULED: 4,
    PENDING_GENERATION: 5,
    PENDING_IMPORT: 6,
    IMPORT_FAILED: 7,
    GENERATION_FAILED: 8,
    PENDING_EXTERNAL_DESTRUCTION: 9,
    EXTERNAL_DESTRUCTION_FAILED: 10,
  },
  purpose: { ENCRYPT_DECRYPT: 1, ASYMMETRIC_DECRYPT: 6 },
  algorithm: {
    GOOGLE_SYMMETRIC_ENCRYPTION: 1,
    EXTERNAL_SYMMETRIC_ENCRYPTION: 18,
    RSA_DECRYPT_OAEP_2048_SHA256: 8,
    RSA_DECRYPT_OAEP_3072_SHA256: 9,
    RSA_DECRYPT_OAEP_4096_SHA256: 10,
    RSA_DECRYPT_OAEP_4096_SHA512: 17,
    RSA_DECRYPT_OAEP_2048_SHA1: 37,
  },
} as const;

export type ProtectionLevel = keyof typeof ENUMS.protectionLevel;
export type VersionState = keyof typeof ENUMS.state;
export type KeyPurpose = keyof typeof ENUMS.purpose;
export type KeyAlgorithm = keyof typeof ENUMS.algorithm;

export function isKeyAlgorithm(text: string): text is KeyAlgorithm {
  return Object.hasOwn(ENUMS.algorithm, text);
}

/** Returns the name of a value given as a name or a number; undefined for an unknown one. */
export function enumName<Name extends string>(names: Readonly<Record<Name, number>>, given: unknown): Name | undefined {
  for (const name in names) if (given === name || given === names[name]) return name;
  return undefined;
}

/** Replaces the names of enumerations in an answer by numbers. */
export function withNumbers(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withNumbers);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([field, member]) => [field, numberOf(field, member) ?? withNumbers(member)]));
}

function numberOf(field: string, member: unknown): number | undefined {
  for (const [name, values] of Object.entries(ENUMS)) {
    if (name === field && typeof member === "string") return new Map<string, number>(Object.entries(values)).get(member);
  }
  return undefined;
}
