// What bench/resilience.ts needs beside the public surface, to do by hand what a warm cache saves.
export { localKey } from "../providers/local/index.ts";
export { claimedPlaintextBytes, openBody } from "../src/body.ts";
export { KeyContext } from "../src/context.ts";
export { parseHeader } from "../src/format/envelope.ts";
export { encodeKeyRecord } from "../src/format/key-record.ts";
export { Keyring } from "../src/keyring.ts";
