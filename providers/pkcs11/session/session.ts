import type { OwnedBytes } from "../../../src/core/base/bytes.ts";
import type { RecentMap } from "../../../src/core/base/recent-map.ts";
import type { Cryptoki, Handle, TokenInfo } from "../cryptoki/cryptoki.ts";

/** A session for one call at a time. */
export interface Session extends Link {
  readonly session: Handle;
}

/** A token that has been found and logged in to. Its handles are valid for as long as it is. */
export interface Link {
  readonly cryptoki: Cryptoki;
  readonly slot: Handle;
  readonly info: TokenInfo;
  readonly found: Findings;
}

/** Answers of the token that do not change while the link lasts. */
export interface Findings {
  /** The mechanisms that the token lists. */
  mechanisms?: ReadonlySet<number>;
  readonly mechanismFlags: Map<number, number>;
  /** KEKs by their key id, those used last: how many key ids there are is up to the writers of envelopes. */
  readonly keys: RecentMap<string, KeyObject>;
  readonly publicHalves: WeakMap<KeyObject, PublicHalf>;
  /** Attributes that may be absent, and that the token did not know. */
  readonly unknownAttributes: Set<number>;
  /** Wrappings under a key that the token has shown to be impossible, with the reason. */
  readonly impossible: Map<string, string>;
  /** Whether CKM_AES_KEY_WRAP_PAD is RFC 5649 here. */
  isPadKwp?: boolean;
}

/** A KEK on the token: a secret AES key, or the private half of an RSA pair. */
export interface KeyObject {
  readonly kind: "aes" | "rsa";
  readonly handle: Handle;
  readonly label: string;
  readonly id: OwnedBytes;
  /** Days as `YYYYMMDD`. The token stores them and does not enforce them. */
  readonly startDate: string | undefined;
  readonly endDate: string | undefined;
  /** The uses that its attributes allow. `encrypt` and `wrap` of an RSA key are the rights of its public half, and false here. */
  readonly usage: KeyUsage;
  /** The size of an AES key in bytes, if the token tells. */
  readonly aesBytes: number | undefined;
  /** RSA alone; without leading zeros. */
  readonly modulus: OwnedBytes | undefined;
  /** Whether each use needs a login of its own. */
  readonly needsLoginPerUse: boolean;
}

export interface KeyUsage {
  readonly encrypt: boolean;
  readonly decrypt: boolean;
  readonly wrap: boolean;
  readonly unwrap: boolean;
}

export interface RsaPublicKey {
  readonly modulus: OwnedBytes;
  readonly exponent: OwnedBytes;
}

export interface PublicHalf {
  readonly handle: Handle;
  readonly encrypt: boolean;
  readonly wrap: boolean;
}

/** Runs work in a session of its own. A session in which work failed is closed. */
export type UseSession = <T>(work: (session: Session) => Promise<T> | T) => Promise<T>;
