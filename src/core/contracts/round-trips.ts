import { equalPublicBytes, type OwnedBytes, wipe } from "../base/bytes.ts";
import { EnvelockError } from "../base/errors.ts";
import { SingleFlights } from "../base/single-flight.ts";
import { DATA_KEY_BYTES } from "./suite.ts";

/**
 * Proves, once for each key version and algorithm, that a provider can unwrap what it wraps. The proof comes before any data key that
 * protects something. For providers that cannot know this otherwise: a key may have the right to wrap alone, and an envelope under it would
 * be lost.
 */
export class RoundTrips {
  readonly #proven: Set<string> = new Set();
  readonly #flights: SingleFlights<string, void> = new SingleFlights();

  /**
   * Makes the trial unless it has succeeded before. Calls at the same time share one.
   *
   * @param name key version and algorithm; as many are kept as were proven, so it must not come from outside
   * @param trial wraps the data key that it is given, unwraps the result and returns that. The data key protects nothing.
   * @throws `provider-failure` with detail `no-round-trip` if another data key comes back; what `trial` throws
   */
  async prove(name: string, trial: (dek: OwnedBytes) => Promise<Uint8Array>): Promise<void> {
    if (this.#proven.has(name)) return;
    await this.#flights.run(name, async () => {
      await makeTrial(trial);
      this.#proven.add(name);
    });
  }

  isProven(name: string): boolean {
    return this.#proven.has(name);
  }

  /** Makes the next `prove` try again. */
  forget(name: string): void {
    this.#proven.delete(name);
  }
}

async function makeTrial(trial: (dek: OwnedBytes) => Promise<Uint8Array>): Promise<void> {
  const dek = crypto.getRandomValues(new Uint8Array(DATA_KEY_BYTES));
  const given = dek.slice(); // a trial that gives back what it got, or changes it, proves nothing
  let opened: Uint8Array | undefined;
  try {
    opened = await trial(given);
    if (opened !== given && equalPublicBytes(opened, dek)) return;
  } finally {
    wipe(dek, given, opened);
  }
  throw new EnvelockError("provider-failure", "the key does not unwrap what it wraps: another data key came back", {
    detail: "no-round-trip",
    hint: "nothing was encrypted under it; choose another mechanism or key",
  });
}
