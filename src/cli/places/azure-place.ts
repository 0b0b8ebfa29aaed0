import { runtimeFetch } from "#fetch";
import { azureBlobs } from "../../blobs/azure/index.ts";
import { systemClock } from "../../core/base/clock.ts";
import { EnvelockError } from "../../core/base/errors.ts";
import { azureConnection } from "../azure-connection.ts";
import { environmentVariable } from "../environment.ts";
import type { StoreKind, StoreOptions } from "./store-kind.ts";

/** Azure Blob Storage. Variables have the names that `az storage` reads. */
export const azurePlaces: StoreKind = {
  scheme: "az",
  shape: "az://<account>/<container>/<name>",
  storeShape: "az://<account>/<container>",
  split(path) {
    const [, container, name = ""] = /^([a-z0-9]{3,24}\/(?:[a-z0-9-]{3,63}|\$root|\$web))(?:\/(.*))?$/s.exec(path) ?? [];
    return container === undefined ? undefined : { container, name };
  },
  async open(place, options) {
    const [account = "", container = ""] = place.split("/");
    const base = options.endpoint ?? environmentVariable("AZURE_STORAGE_SERVICE_ENDPOINT") ?? `https://${account}.blob.core.windows.net`;
    const url = `${base.replace(/\/$/, "")}/${container}`;
    const sas = environmentVariable("AZURE_STORAGE_SAS_TOKEN");
    return sas === undefined ? azureBlobs({ url, fetch: signedIn(options) }) : azureBlobs({ url, sas });
  },
};

/** A `fetch` that sends the token of an identity with each request. @throws `access-denied` if neither an option nor a variable asks for that */
function signedIn({ credential }: StoreOptions): typeof runtimeFetch {
  if (credential === undefined && environmentVariable("AZURE_STORAGE_AUTH_MODE") !== "login") {
    throw new EnvelockError("access-denied", "nothing says how to sign in to Azure Storage", {
      detail: "credential",
      hint: "put a SAS of the container into AZURE_STORAGE_SAS_TOKEN; or sign in as for keys in Azure, with --credential or AZURE_STORAGE_AUTH_MODE=login",
    });
  }
  const { credential: source } = azureConnection(credential === undefined ? {} : { credential });
  return async (url, request) => {
    const token = await source.getToken(SCOPE, request.signal ? { abortSignal: request.signal } : {});
    if (token === null) throw new EnvelockError("access-denied", "the identity gave no token for Azure Storage", { detail: "credential" });
    const signing = { authorization: `Bearer ${token.token}`, "x-ms-date": new Date(systemClock.unixMs()).toUTCString() };
    return await runtimeFetch(url, { ...request, headers: { ...request.headers, ...signing } });
  };
}

const SCOPE = "https://storage.azure.com/.default";
