import type { Command } from "commander";
import { addBlobsList } from "./list.ts";
import { addBlobsRewrap } from "./rewrap.ts";
import { addBlobsVerify } from "./verify.ts";

export function addBlobs(program: Command): void {
  const group = program
    .command("blobs")
    .summary("look after encrypted blobs in a store")
    .description("Lists, verifies and rewraps the encrypted blobs of a container or a folder.");
  for (const addVerb of [addBlobsList, addBlobsVerify, addBlobsRewrap]) addVerb(group);
  group.addHelpText(
    "after",
    `
A store is az://<account>/<container>, with a SAS in AZURE_STORAGE_SAS_TOKEN, s3://<bucket>, with AWS_REGION and credentials, gs://<bucket>, with credentials of Google Cloud, or dir:<folder>. What follows the container is a prefix.

Examples:
  envelock blobs list az://acme/invoices/2026/
  envelock blobs verify az://acme/invoices --key keys.json --all
  envelock blobs rewrap az://acme/invoices --key keys.json`,
  );
}
