import type { OwnedBytes } from "../base/bytes.ts";
import type { RandomSource } from "../contracts/random-source.ts";
import { DATA_KEY_BYTES } from "../contracts/suite.ts";
import { GuardedBackend } from "./guarded-backend.ts";
import type { Operation } from "./operation.ts";
import { discardSecret, takenSecret } from "./provider-contract.ts";

/** A source of randomness, guarded. */
export class GuardedRandom extends GuardedBackend<RandomSource> {
  /** Draws random bytes. @returns as many as a data key has; the caller owns and wipes them */
  dataKeyBytes(operation: Operation): Promise<OwnedBytes> {
    const { backend } = this;
    return this.call(operation, {
      call: "random",
      start: ({ signal }) => backend.randomBytes(DATA_KEY_BYTES, { signal }),
      accept: (bytes) => takenSecret(backend, "randomBytes", bytes),
      keyIdOf: () => undefined,
      discard: discardSecret,
    });
  }
}
