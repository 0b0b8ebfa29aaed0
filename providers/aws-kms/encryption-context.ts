import { sha2 } from "#sha2";
import type { WrapOptions } from "../../src/core/contracts/key-provider.ts";

/**
 * The key context in clear, for policies and the audit trail, and a digest of the AAD, which binds all of it with suite and key. A key
 * context with an empty name or value, or a long one, leaves the digest alone. Frozen: what was wrapped opens under the same map only.
 *
 * @param arn of the key version that wraps
 */
export function encryptionContext({ keyContext, wrapAad }: WrapOptions, arn: string): Readonly<Record<string, string>> {
  const digest = { [AAD_NAME]: sha2.sha256(wrapAad(arn), "base64") };
  const whole = { ...keyContext, ...digest };
  const isTaken = Object.entries(keyContext).every(([name, value]) => name !== "" && value !== "");
  return isTaken && JSON.stringify(whole).length <= MAX_CHARACTERS ? whole : digest;
}

const AAD_NAME = "envelock:aad";
/** Chosen here, and part of what is wrapped: no limit was found in the documentation of the service. */
const MAX_CHARACTERS = 8192;
