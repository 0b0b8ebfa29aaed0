import type { AzureConnectionOptions } from "../../../providers/azure/index.ts";
import type { AzureEmulator } from "./emulator/azure-emulator.ts";
import { TOKEN_RESOURCE } from "./emulator/azure-emulator.ts";

/** What a provider needs to reach an emulator. */
export function connectionTo(emulator: AzureEmulator): AzureConnectionOptions {
  const { host, ca } = emulator;
  return { credential: emulator, allowedHosts: [host], tokenResource: TOKEN_RESOURCE, client: { tlsOptions: { ca } } };
}
