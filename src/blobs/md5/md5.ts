/** MD5 of a block: what stores compare with what arrived. It protects from accidents on the way, and nothing relies on it for more. */
export type Md5 = (bytes: Uint8Array) => Uint8Array;
