import { createCipheriv, createDecipheriv } from "node:crypto";
import { once } from "node:events";
import { type Readable, Transform, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Keyring } from "envelock";
import { decryptDuplex, encryptDuplex } from "envelock/node";
import { localKey } from "envelock/providers/local";

/** One way of encrypting a stream. What it needs is loaded when it is used, so that nobody pays for another's packages. */
export interface StreamContestant {
  readonly name: string;
  encrypt(source: Readable, sink: Writable): Promise<void>;
  /** @param sealedBytes the length of `source`, which a lone GCM message needs to find its tag */
  decrypt(source: Readable, sink: Writable, sealedBytes: number): Promise<void>;
}

const KEY = Buffer.alloc(32, 7);
const NONCE = Buffer.alloc(12, 1); // fixed, so that another process can decrypt
const OPENPGP_KEY = { data: new Uint8Array(KEY), algorithm: "aes256", aeadAlgorithm: "gcm" } as const;
const AGE_IDENTITY = "AGE-SECRET-KEY-1V6R3J06W9RN58L9WSP5DK2A28XPNHUAMK3G79MH5YACN36AX983STP6TDD";

export const AWS_CRYPTO = "@aws-crypto/client-node, raw AES keyring";
export const BASELINE = "node:crypto, one GCM message";

export const CONTESTANTS: readonly StreamContestant[] = [
  {
    name: BASELINE,
    async encrypt(source, sink) {
      const cipher = createCipheriv("aes-256-gcm", KEY, NONCE);
      await pipeline(source, cipher, sink, { end: false });
      await write(sink, cipher.getAuthTag());
    },
    async decrypt(source, sink, sealedBytes) {
      const decipher = createDecipheriv("aes-256-gcm", KEY, NONCE, { authTagLength: 16 });
      await pipeline(
        source,
        withoutTag(sealedBytes - 16, (tag) => decipher.setAuthTag(tag)),
        decipher,
        sink,
        { end: false },
      );
    },
  },
  framed(16_384),
  framed(65_536),
  envelock(1),
  envelock(2),
  {
    name: "openpgp, AES-256-GCM packets",
    async encrypt(source, sink) {
      const openpgp = await import("openpgp");
      const message = await openpgp.createMessage({ binary: webOf(source) });
      const config = { aeadProtect: true, preferredAEADAlgorithm: openpgp.enums.aead.gcm };
      await drain(await openpgp.encrypt({ message, sessionKey: OPENPGP_KEY, format: "binary", config }), sink);
    },
    async decrypt(source, sink) {
      const openpgp = await import("openpgp");
      const message = await openpgp.readMessage({ binaryMessage: webOf(source) });
      const { data } = await openpgp.decrypt({ message, sessionKeys: [OPENPGP_KEY], format: "binary" });
      await drain(data, sink);
    },
  },
  {
    name: AWS_CRYPTO,
    async encrypt(source, sink) {
      const { client, keyring } = (await import("./aws-crypto.ts")).awsClient(KEY);
      await pipeline(source, client.encryptStream(keyring), sink, { end: false });
    },
    async decrypt(source, sink) {
      const { client, keyring } = (await import("./aws-crypto.ts")).awsClient(KEY);
      await pipeline(source, client.decryptStream(keyring), sink, { end: false });
    },
  },
  {
    name: "age-encryption, X25519",
    async encrypt(source, sink) {
      const { Encrypter, identityToRecipient } = await import("age-encryption");
      const encrypter = new Encrypter();
      encrypter.addRecipient(await identityToRecipient(AGE_IDENTITY));
      await drain(await encrypter.encrypt(webOf(source)), sink);
    },
    async decrypt(source, sink) {
      const { Decrypter } = await import("age-encryption");
      const decrypter = new Decrypter();
      decrypter.addIdentity(AGE_IDENTITY);
      await drain(await decrypter.decrypt(webOf(source)), sink);
    },
  },
];

function envelock(lanes: number): StreamContestant {
  const keyring = new Keyring(localKey({ keyId: "bench", key: KEY }));
  return {
    name: `envelock, ${lanes} ${lanes === 1 ? "lane" : "lanes"}`,
    encrypt: (source, sink) => pipeline(source, encryptDuplex(keyring, { lanes }), sink, { end: false }),
    decrypt: (source, sink) => pipeline(source, decryptDuplex(keyring, { lanes }), sink, { end: false }),
  };
}

/** What a careful user would write by hand: a GCM message a frame, counted nonces. No header, no commitment, no end marker. */
function framed(frameBytes: number): StreamContestant {
  const run = (sealedBytes: number, work: (frame: Buffer, nonce: Buffer) => readonly Buffer[]) => {
    let held: Buffer = Buffer.alloc(0);
    let count = 0;
    const nonce = Buffer.from(NONCE);
    const next = (frame: Buffer): readonly Buffer[] => {
      nonce.writeUInt32BE(count++, 8);
      return work(frame, nonce);
    };
    return new Transform({
      transform(piece: Buffer, _encoding, done) {
        let bytes = held.length === 0 ? piece : Buffer.concat([held, piece]);
        for (; bytes.length >= sealedBytes; bytes = bytes.subarray(sealedBytes))
          for (const part of next(bytes.subarray(0, sealedBytes))) this.push(part);
        held = bytes;
        done();
      },
      flush(done) {
        if (held.length > 0) for (const part of next(held)) this.push(part);
        done();
      },
    });
  };
  return {
    name: `node:crypto, framed ${frameBytes / 1024} KiB`,
    encrypt: (source, sink) =>
      pipeline(
        source,
        run(frameBytes, (frame, nonce) => {
          const cipher = createCipheriv("aes-256-gcm", KEY, nonce);
          return [cipher.update(frame), cipher.final(), cipher.getAuthTag()].filter(({ length }) => length > 0);
        }),
        sink,
        { end: false },
      ),
    decrypt: (source, sink) =>
      pipeline(
        source,
        run(frameBytes + 16, (frame, nonce) => {
          const decipher = createDecipheriv("aes-256-gcm", KEY, nonce, { authTagLength: 16 });
          decipher.setAuthTag(frame.subarray(-16));
          const plaintext = decipher.update(frame.subarray(0, -16));
          decipher.final();
          return [plaintext];
        }),
        sink,
        { end: false },
      ),
  };
}

/** Takes the last 16 bytes off and hands them over. */
function withoutTag(plaintextBytes: number, use: (tag: Buffer) => void): Transform {
  let seen = 0;
  const tag: Buffer[] = [];
  return new Transform({
    transform(piece: Buffer, _encoding, done) {
      const rest = Math.max(0, Math.min(piece.length, plaintextBytes - seen));
      seen += piece.length;
      if (rest < piece.length) tag.push(piece.subarray(rest));
      done(null, rest === piece.length ? piece : piece.subarray(0, rest));
    },
    flush(done) {
      use(Buffer.concat(tag));
      done();
    },
  });
}

/** A Node stream as a web stream of plain Uint8Arrays, pulled. */
function webOf(source: Readable): ReadableStream<Uint8Array> {
  const pieces = source[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await pieces.next();
      if (done === true) controller.close();
      else controller.enqueue(new Uint8Array(value.buffer, value.byteOffset, value.length));
    },
  });
}

async function drain(stream: unknown, sink: Writable): Promise<void> {
  if (!(stream instanceof ReadableStream)) throw new TypeError("this contestant gave no web stream");
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    await write(sink, value);
  }
}

async function write(sink: Writable, bytes: Uint8Array): Promise<void> {
  if (!sink.write(bytes)) await once(sink, "drain");
}
