export { type AzureBlobsOptions, azureBlobs } from "./azure-blobs.ts";
export type {
  AzureBlockBlobClient,
  AzureCallOptions,
  AzureClientBlock,
  AzureClientConditions,
  AzureClientDownload,
  AzureClientProperties,
  AzureCommitOptions,
  AzureContainerClient,
  AzureFoundPage,
  AzureListPage,
  AzurePaged,
} from "./client-calls.ts";
export type { AzureSasContainer } from "./sas-calls.ts";
