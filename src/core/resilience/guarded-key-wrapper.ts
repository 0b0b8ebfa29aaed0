import { copyOf, isBytes, type OwnedBytes } from "../base/bytes.ts";
import { EnvelockError } from "../base/errors.ts";
import type { KeyWrapper, WrappedKey } from "../contracts/key-wrapper.ts";
import { GuardedBackend } from "./guarded-backend.ts";
import type { Operation } from "./operation.ts";
import { discardSecret } from "./provider-contract.ts";

/** A provider that wraps keys of other formats, guarded. */
export class GuardedKeyWrapper extends GuardedBackend<KeyWrapper> {
  /** Whether a key id is one of this provider's, case-insensitively: other formats keep a key id as it was typed. */
  owns(keyId: string): boolean {
    return this.backend.owns(keyId) || this.backend.owns(keyId.toLowerCase());
  }

  currentKey(operation: Operation): Promise<Omit<WrappedKey, "wrapped">> {
    return this.call(operation, {
      call: "current",
      start: ({ signal }) => this.backend.currentKey({ signal }),
      accept: (key) => key,
      keyIdOf: (key) => key?.keyId,
    });
  }

  /** @param key shared: read only while the attempt runs */
  wrapKey(key: Uint8Array, operation: Operation): Promise<WrappedKey> {
    return this.call(operation, {
      call: "wrap",
      start: ({ signal }) => this.backend.wrapKey(key, { signal }),
      accept: (wrapped) => wrapped,
      keyIdOf: (wrapped) => wrapped?.keyId,
    });
  }

  /** Unwraps a key. @returns bytes that the caller owns and wipes */
  unwrapKey(key: WrappedKey, operation: Operation): Promise<OwnedBytes> {
    return this.call(operation, {
      call: "unwrap",
      start: ({ signal }) => this.backend.unwrapKey(key, { signal }),
      accept: (secret) => this.#taken(secret),
      keyIdOf: () => key.keyId,
      discard: discardSecret,
    });
  }

  #taken(secret: Uint8Array): OwnedBytes {
    if (!isBytes(secret)) throw new EnvelockError("provider-failure", `provider ${this.backend.name}: unwrapKey must give bytes`);
    const owned = copyOf(secret);
    discardSecret(secret);
    return owned;
  }
}
