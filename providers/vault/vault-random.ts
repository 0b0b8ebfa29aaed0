import { fromBase64 } from "../../src/core/base/base64.ts";
import { refuseUnknown } from "../../src/core/base/options.ts";
import type { RandomSource } from "../../src/core/contracts/random-source.ts";
import { drawnRandom } from "../http/drawn-random.ts";
import { textFieldOf } from "../http/fields.ts";
import { VaultConnection } from "./connection.ts";
import { brokenAnswer } from "./failures.ts";
import { CONNECTION_OPTIONS, type VaultConnectionOptions } from "./options.ts";
import { checkedPath } from "./paths.ts";

export interface VaultRandomOptions extends VaultConnectionOptions {
  /** Where the transit engine is mounted. Default `transit`. */
  readonly mount?: string;
}

/**
 * The generator of a Vault or OpenBao server, as a keyring's `randomness`. Needs the capability `update` on `<mount>/random`.
 *
 * @throws `invalid-argument`
 * @example
 * ```ts
 * import { vaultRandom } from "envelock/providers/vault";
 *
 * const randomness = vaultRandom({ address: "https://vault.example:8200", token: "hvs.…" });
 * ```
 */
export function vaultRandom(options: VaultRandomOptions): Required<RandomSource> {
  refuseUnknown(options, { ...CONNECTION_OPTIONS, mount: true }, "vaultRandom");
  const { mount = "transit", ...connectionOptions } = options;
  const place = checkedPath("mount", mount);
  const connection = new VaultConnection(connectionOptions);
  return drawnRandom({
    name: "vault-random",
    mostAtOnce: 4096,
    connection,
    async draw(count, signal) {
      const path = `/v1/${place}/random/${count}`;
      const data = await connection.call({ operation: "random", of: place, method: "POST", path, body: "{}" }, signal);
      const bytes = fromBase64(textFieldOf(data, "random_bytes") ?? "");
      if (bytes?.length === count) return bytes;
      throw brokenAnswer("random", place, `does not hold ${count} bytes`);
    },
  });
}
