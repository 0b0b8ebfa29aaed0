import { fromBase64 } from "../../src/core/base/base64.ts";
import { refuseUnknown } from "../../src/core/base/options.ts";
import type { RandomSource } from "../../src/core/contracts/random-source.ts";
import { drawnRandom } from "../http/drawn-random.ts";
import { textFieldOf } from "../http/fields.ts";
import { serviceIn } from "./arn.ts";
import { AwsConnection } from "./connection.ts";
import { brokenAnswer } from "./failures.ts";
import { type AwsConnectionOptions, CONNECTION_OPTIONS } from "./options.ts";

export interface AwsKmsRandomOptions extends AwsConnectionOptions {
  /** The region whose key service is asked, such as `eu-central-1`. */
  readonly region: string;
}

/**
 * The generator of AWS KMS, as a keyring's `randomness`. Needs `kms:GenerateRandom`. Gives up to 1024 bytes with a request.
 *
 * @throws `invalid-argument`
 * @example
 * ```ts
 * import { awsKmsRandom, instanceCredentials } from "envelock/providers/aws-kms";
 *
 * const randomness = awsKmsRandom({ region: "eu-central-1", credentials: instanceCredentials() });
 * ```
 */
export function awsKmsRandom(options: AwsKmsRandomOptions): Required<RandomSource> {
  refuseUnknown(options, { ...CONNECTION_OPTIONS, region: true }, "awsKmsRandom");
  const { region, ...connectionOptions } = options;
  const connection = new AwsConnection(serviceIn(region), connectionOptions);
  return drawnRandom({
    name: "aws-kms-random",
    mostAtOnce: 1024,
    connection,
    async draw(count, signal) {
      const answer = await connection.call("GenerateRandom", { KeyId: undefined, NumberOfBytes: count }, signal);
      const bytes = fromBase64(textFieldOf(answer, "Plaintext") ?? "");
      if (bytes?.length === count) return bytes;
      throw brokenAnswer("GenerateRandom", region, `does not hold ${count} bytes`);
    },
  });
}
