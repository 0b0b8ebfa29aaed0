import { GcpAnswer } from "../emulator/google-answer.ts";

export function invalid(message: string): GcpAnswer {
  return new GcpAnswer(400, "INVALID_ARGUMENT", message);
}

export function checksumMismatch(field: string): GcpAnswer {
  return invalid(`The checksum in field ${field}_crc32c did not match the data in field ${field}.`);
}

/** The answer for a ciphertext that the service did not make. */
export function ciphertextInvalid(): GcpAnswer {
  return invalid("Decryption failed: the ciphertext is invalid.");
}

/** The answer for another key, another AAD or a changed ciphertext. */
export function ciphertextRefused(): GcpAnswer {
  return invalid(
    "Decryption failed: verify that 'name' refers to the correct CryptoKey, and that 'ciphertext' and 'additional_authenticated_data' are correct.",
  );
}

export function notEnabled(version: string, state: string): GcpAnswer {
  const type = state === "DESTROYED" ? "KEY_DESTROYED" : state === "PENDING_GENERATION" ? "KEY_PENDING_GENERATION" : "KEY_DISABLED";
  const message = `${version} is not enabled, current state is: ${state}.`;
  return new GcpAnswer(400, "FAILED_PRECONDITION", message, [{ type, subject: version, description: message }]);
}

/** The answer for an external key whose key manager refuses or fails. */
export function externalFailure(domain: string): GcpAnswer {
  const description = "The external key manager did not perform the operation.";
  return new GcpAnswer(400, "FAILED_PRECONDITION", description, [
    { type: "KEY_ENABLED", subject: "external key", description },
    { type: domain, subject: "external key", description },
  ]);
}

export function notFound(resource: string): GcpAnswer {
  return new GcpAnswer(404, "NOT_FOUND", `${resource} not found.`);
}

export function exhausted(): GcpAnswer {
  return new GcpAnswer(
    429,
    "RESOURCE_EXHAUSTED",
    "Quota exceeded for quota metric 'Cryptographic requests' of service 'cloudkms.googleapis.com'.",
  );
}
