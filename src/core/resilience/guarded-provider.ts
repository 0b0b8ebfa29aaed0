import type { OwnedBytes } from "../base/bytes.ts";
import type { KeyContext } from "../base/context.ts";
import { type InstantKey, instantKeyOf } from "../contracts/instant-key.ts";
import type { KeyProvider, Recipient, WrapOptions } from "../contracts/key-provider.ts";
import { encodeWrapAad } from "../format/key-record.ts";
import { GuardedBackend } from "./guarded-backend.ts";
import type { Operation } from "./operation.ts";
import { checkedRecipient, discardSecret, takenSecret, wrapOptions } from "./provider-contract.ts";

/** A provider of keys, guarded. */
export class GuardedProvider extends GuardedBackend<KeyProvider> {
  /** The latest AAD of `wrapNow` and `unwrapNow`: of one key version and one key context, they all have the same. */
  #aad: { readonly keyId: string; readonly keyContext: KeyContext; readonly bytes: Uint8Array } | undefined;

  get provider(): KeyProvider {
    return this.backend;
  }

  /**
   * Whether `recipient` names a key of this provider: a comparison with configuration, nothing else.
   *
   * @throws `provider-failure` if `owns` throws, which a parser may do for a hostile key id
   */
  isFor(recipient: Recipient): boolean {
    if (this.provider.name !== recipient.provider) return false;
    try {
      return this.provider.owns(recipient.keyId);
    } catch (error) {
      throw this.failureOf(error);
    }
  }

  /** @param dek shared: read only while the attempt runs */
  wrap(dek: Uint8Array, keyContext: KeyContext, operation: Operation): Promise<Recipient> {
    const { provider } = this;
    return this.call(operation, {
      call: "wrap",
      start: (signal) => provider.wrap(dek, wrapOptions(provider, keyContext, signal)),
      accept: (recipient) => checkedRecipient(provider, recipient),
      keyIdOf: (recipient) => recipient?.keyId,
    });
  }

  /** Whether `wrapNow` and `unwrapNow` may answer. */
  get isInstant(): boolean {
    return this.#instantKey !== undefined;
  }

  /** Wraps like `wrap` if the key is in this process and no other party has to know of the call. Undefined leaves it to `wrap`. */
  wrapNow(dek: Uint8Array, keyContext: KeyContext): Recipient | undefined {
    return this.#instantKey?.wrapNow(dek, this.#wrapAad(keyContext));
  }

  /** Does for `unwrap` what `wrapNow` does for `wrap`. */
  unwrapNow(recipient: Recipient, keyContext: KeyContext): OwnedBytes | undefined {
    return this.#instantKey?.unwrapNow(recipient, this.#wrapAad(keyContext));
  }

  /** Makes one attempt, because the next may be another provider's. @returns 32 bytes that the caller owns and wipes */
  unwrap(recipient: Recipient, keyContext: KeyContext, operation: Operation, attempt: number): Promise<OwnedBytes> {
    const { provider } = this;
    return this.attempt(operation, attempt, {
      call: "unwrap",
      start: (signal) => provider.unwrap(recipient, wrapOptions(provider, keyContext, signal)),
      accept: (secret) => takenSecret(provider, "unwrap", secret),
      keyIdOf: () => recipient.keyId,
      discard: discardSecret,
    });
  }

  /** Returns the key id that `wrap` would use now, or undefined if the provider cannot tell. */
  async current(operation: Operation): Promise<string | undefined> {
    const { provider } = this;
    if (provider.current === undefined) return undefined;
    return await this.call(operation, {
      call: "current",
      start: async ({ signal }) => await provider.current?.({ signal }),
      accept: (keyId) => keyId,
      keyIdOf: (keyId) => keyId,
    });
  }

  get #instantKey(): InstantKey | undefined {
    return this.isPlain ? instantKeyOf(this.provider) : undefined;
  }

  #wrapAad(keyContext: KeyContext): WrapOptions["wrapAad"] {
    return (keyId) => {
      if (this.#aad?.keyId !== keyId || this.#aad.keyContext !== keyContext) {
        this.#aad = { keyId, keyContext, bytes: encodeWrapAad(this.provider.name, keyId, keyContext.bytes) };
      }
      return this.#aad.bytes;
    };
  }
}
