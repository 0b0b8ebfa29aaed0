export { type FileBlobsOptions, fileBlobs } from "./file-blobs.ts";
