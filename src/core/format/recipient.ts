import { ascii, copyOf, utf8 } from "../base/bytes.ts";
import { malformed } from "../base/errors.ts";
import type { Recipient } from "../contracts/key-provider.ts";
import { headBytes, type ProfileReader, type ProfileWriter } from "./cbor.ts";

// A recipient as one CBOR item, in a key record and within the wrapped key of another recipient. docs/format.md §3

export const MAX_KEY_ID_BYTES = 512;
export const MAX_WRAPPED_BYTES = 4096;
export const PROVIDER_NAME: RegExp = /^[a-z0-9-]{1,32}$/;

/** Reads a recipient, which owns its bytes. @throws `malformed-envelope` */
export function readRecipient(reader: ProfileReader): Recipient {
  reader.array("recipient", 4, 4);
  const provider = reader.text("provider", 1, 32);
  if (!PROVIDER_NAME.test(provider)) throw malformed("provider has characters outside a-z, 0-9 and -");
  const keyId = reader.text("keyId", 1, MAX_KEY_ID_BYTES);
  const alg = reader.uint("alg");
  return { provider, keyId, alg, wrapped: copyOf(reader.bytes("wrapped", 1, MAX_WRAPPED_BYTES)) };
}

export interface PreparedRecipient {
  readonly bytes: number;
  write(writer: ProfileWriter): void;
}

/** Measures a recipient before it is written. */
export function prepareRecipient({ provider, keyId, alg, wrapped }: Recipient): PreparedRecipient {
  const name = ascii(provider);
  const id = utf8(keyId);
  return {
    bytes: 1 + stringBytes(name) + stringBytes(id) + headBytes(alg) + stringBytes(wrapped),
    write(writer) {
      writer.array(4);
      writer.text(name);
      writer.text(id);
      writer.uint(alg);
      writer.bytes(wrapped);
    },
  };
}

function stringBytes(bytes: Uint8Array): number {
  return headBytes(bytes.length) + bytes.length;
}
