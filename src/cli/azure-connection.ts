import type { AzureConnectionOptions, AzureCredential } from "../../providers/azure/index.ts";
import { EnvelockError } from "../core/base/errors.ts";
import type { AzureOptions, CredentialKind } from "./options.ts";

/** How to reach what the options allow, with one credential, which is made when a token is first needed. */
export function azureConnection({ credential = "default", allowHost, tokenResource }: AzureOptions): AzureConnectionOptions {
  let made: Promise<AzureCredential> | undefined;
  return {
    credential: {
      async getToken(scopes, options) {
        made ??= madeCredential(credential);
        return await (await made).getToken(scopes, options);
      },
    },
    ...(allowHost !== undefined && { allowedHosts: allowHost }),
    ...(tokenResource !== undefined && { tokenResource }),
  };
}

/** @throws `provider-failure` without `@azure/identity`; `access-denied` for a credential that lacks its environment */
async function madeCredential(kind: CredentialKind): Promise<AzureCredential> {
  const identity = await import("@azure/identity").catch((cause: unknown) => {
    const hint = "npm install @azure/identity @azure/keyvault-keys";
    throw new EnvelockError("provider-failure", "Azure keys need the package @azure/identity, which did not load", { cause, hint });
  });
  try {
    switch (kind) {
      case "default":
        return new identity.DefaultAzureCredential();
      case "managed-identity": {
        const { AZURE_CLIENT_ID: clientId } = process.env; // names a user-assigned one, as the default chain has it
        return clientId === undefined ? new identity.ManagedIdentityCredential() : new identity.ManagedIdentityCredential({ clientId });
      }
      case "workload":
        return new identity.WorkloadIdentityCredential();
      case "cli":
        return new identity.AzureCliCredential();
      case "env":
        return new identity.EnvironmentCredential();
    }
  } catch (cause) {
    const hint = "docs/providers/azure.md has what each kind of credential reads";
    throw new EnvelockError("access-denied", `--credential ${kind} cannot be used here`, { detail: "credential", hint, cause });
  }
}
