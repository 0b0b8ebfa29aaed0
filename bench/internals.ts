// What bench/resilience.ts needs beside the public surface, to do by hand what a warm cache saves.
export { localKey } from "../providers/local/index.ts";
export { KeyContext } from "../src/core/base/context.ts";
export { claimedPlaintextBytes } from "../src/core/crypto/body-sizes.ts";
export { openBody } from "../src/core/data-key/body.ts";
export { parseHeader } from "../src/core/format/envelope.ts";
export { encodeKeyRecord } from "../src/core/format/key-record.ts";
export { Keyring } from "../src/core/keyring/keyring.ts";
