import type { AzureConnectionOptions, AzureCredential } from "../../providers/azure/index.ts";
import { EnvelockError } from "../core/base/errors.ts";
import { environmentVariable } from "./environment.ts";
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

/**
 * The credential of the vendor's application in the directory of a tenant. With `default` and `managed-identity` the vendor's managed identity
 * vouches for the application.
 *
 * @param clientId the application's id, which `cli` does without
 */
export function credentialIn(kind: CredentialKind, directoryId: string, clientId: string): AzureCredential {
  let made: Promise<AzureCredential> | undefined;
  return {
    async getToken(scopes, options) {
      made ??= tenantCredential(kind, directoryId, clientId);
      return await (await made).getToken(scopes, options);
    },
  };
}

async function tenantCredential(kind: CredentialKind, tenantId: string, clientId: string): Promise<AzureCredential> {
  const identity = await azureIdentity();
  try {
    switch (kind) {
      case "workload":
        return new identity.WorkloadIdentityCredential({ tenantId, clientId });
      case "cli":
        return new identity.AzureCliCredential({ tenantId });
      case "env":
        return new identity.ClientSecretCredential(tenantId, clientId, environmentVariable("AZURE_CLIENT_SECRET") ?? "");
      default: {
        const own = new identity.ManagedIdentityCredential();
        const assertion = async (): Promise<string> => (await own.getToken(ASSERTION_SCOPE)).token;
        return new identity.ClientAssertionCredential(tenantId, clientId, assertion);
      }
    }
  } catch (cause) {
    throw unusable(kind, cause);
  }
}

/** @throws `provider-failure` without `@azure/identity`; `access-denied` for a credential that lacks its environment */
async function madeCredential(kind: CredentialKind): Promise<AzureCredential> {
  const identity = await azureIdentity();
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
    throw unusable(kind, cause);
  }
}

async function azureIdentity(): Promise<typeof import("@azure/identity")> {
  return await import("@azure/identity").catch((cause: unknown) => {
    const hint = "npm install @azure/identity @azure/keyvault-keys";
    throw new EnvelockError("provider-failure", "Azure keys need the package @azure/identity, which did not load", { cause, hint });
  });
}

function unusable(kind: CredentialKind, cause: unknown): EnvelockError {
  const hint = "docs/providers/azure.md has what each kind of credential reads";
  return new EnvelockError("access-denied", `--credential ${kind} cannot be used here`, { detail: "credential", hint, cause });
}

/** The audience of the token by which a managed identity vouches for an application. */
const ASSERTION_SCOPE = "api://AzureADTokenExchange/.default";
