export { decryptDuplex, encryptDuplex } from "./duplex.ts";
export { decryptFile, encryptFile, type FileOptions } from "./files.ts";
