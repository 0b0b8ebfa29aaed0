import { copyOf, wipe } from "../../src/core/base/bytes.ts";
import { refuseUnknown } from "../../src/core/base/options.ts";
import type { RandomSource } from "../../src/core/contracts/random-source.ts";
import { drawnRandom } from "../http/drawn-random.ts";
import { receivedBytes } from "./checked-bytes.ts";
import { GcpConnection } from "./connection.ts";
import { brokenAnswer } from "./failures.ts";
import { checkedLocation } from "./key-name.ts";
import { CONNECTION_OPTIONS, type GcpConnectionOptions } from "./options.ts";

export interface GcpKmsRandomOptions extends GcpConnectionOptions {
  /** The project and location whose HSMs are asked: `projects/<project>/locations/<location>`. */
  readonly location: string;
}

/**
 * The generator of Cloud HSM, as a keyring's `randomness`. Needs the permission `cloudkms.locations.generateRandomBytes`. Gives up to 1024
 * bytes with a request.
 *
 * @throws `invalid-argument`
 * @example
 * ```ts
 * import { gcpKmsRandom, metadataServer } from "envelock/providers/gcp-kms";
 *
 * const randomness = gcpKmsRandom({ location: "projects/acme/locations/europe-west3", token: metadataServer() });
 * ```
 */
export function gcpKmsRandom(options: GcpKmsRandomOptions): Required<RandomSource> {
  refuseUnknown(options, { ...CONNECTION_OPTIONS, location: true }, "gcpKmsRandom");
  const { location, ...connectionOptions } = options;
  const name = checkedLocation(location);
  const connection = new GcpConnection(connectionOptions);
  return drawnRandom({
    name: "gcp-kms-random",
    mostAtOnce: 1024,
    connection,
    async draw(count, signal) {
      const lengthBytes = Math.max(count, LEAST_BYTES);
      const body = { lengthBytes, protectionLevel: "HSM" };
      const answer = await connection.call({ operation: "random", name, suffix: ":generateRandomBytes", body }, signal);
      const bytes = receivedBytes(answer, "data", "random", name);
      if (bytes.length !== lengthBytes) throw brokenAnswer("random", name, `does not hold ${lengthBytes} bytes`);
      const wanted = copyOf(bytes.subarray(0, count));
      wipe(bytes);
      return wanted;
    },
  });
}

/** The fewest bytes that the service gives. */
const LEAST_BYTES = 8;
