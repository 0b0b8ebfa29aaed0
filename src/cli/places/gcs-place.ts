import { accessTokens } from "../../../providers/gcp-kms/index.ts";
import { gcsBlobs } from "../../blobs/gcs/index.ts";
import { environmentVariable } from "../environment.ts";
import { googleConnection } from "../gcp-connection.ts";
import type { StoreKind } from "./store-kind.ts";

/** Google Cloud Storage. Variables have the names that `gcloud` and Google's own clients read. */
export const gcsPlaces: StoreKind = {
  scheme: "gs",
  shape: "gs://<bucket>/<name>",
  storeShape: "gs://<bucket>",
  split(path) {
    const [, container, name = ""] = /^([a-z0-9][a-z0-9._-]{1,220}[a-z0-9])(?:\/(.*))?$/s.exec(path) ?? [];
    return container === undefined ? undefined : { container, name };
  },
  async open(bucket, options) {
    const url = options.endpoint ?? namedEndpoint();
    const { token, fetch } = await googleConnection();
    const reached = fetch === undefined ? {} : { fetch };
    return gcsBlobs({ bucket, token: accessTokens(token, { scope: SCOPE, ...reached }), ...reached, ...(url !== undefined && { url }) });
  },
};

/** The endpoint that the environment names. What `gcloud` takes has the path of the API behind it, and what the clients take may lack a scheme. */
function namedEndpoint(): string | undefined {
  const override = environmentVariable("CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE");
  if (override !== undefined) return override.replace(/\/(?:storage\/v1\/?)?$/, "");
  const emulator = environmentVariable("STORAGE_EMULATOR_HOST");
  if (emulator === undefined) return undefined;
  return (emulator.includes("://") ? emulator : `http://${emulator}`).replace(/\/$/, "");
}

const SCOPE = "https://www.googleapis.com/auth/devstorage.read_write";
