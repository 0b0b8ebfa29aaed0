import { PassThrough, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Keyring } from "envelock";
import { encryptedStore } from "envelock/blobs";
import { s3Blobs } from "envelock/blobs/s3";
import { localKey } from "envelock/providers/local";
import type { S3EmulatorConnection } from "envelock/testing/s3";
import { s3Sdk } from "../test/support/s3.ts";
import { generated } from "./runs.ts";
import { AWS_CRYPTO, CONTESTANTS } from "./stream-contestants.ts";
import { CountingSink, piecesOf, timedTransfer } from "./transfers.ts";

// One transfer to or from the S3 emulator: `plain`, `client`, `fetch` or `aws-crypto`.

const PART_BYTES = 8 * 1024 * 1024;

const [, , , way = "", place = ""] = process.argv;
const { bucket, connection }: { bucket: string; connection: S3EmulatorConnection } = JSON.parse(place);
const { s3, storage } = s3Sdk();
const awsCrypto = CONTESTANTS.find(({ name }) => name === AWS_CRYPTO);
const client = new s3.S3Client(connection);
const keyring = new Keyring(localKey({ keyId: "bench", key: new Uint8Array(32).fill(7) }));
const signed = { url: `${connection.endpoint}/${bucket}`, region: connection.region, credentials: connection.credentials };
const store = encryptedStore(keyring, s3Blobs(way === "fetch" ? signed : { client, commands: s3, bucket }, { mode: "aws" }), {
  context: (name) => ({ object: name }),
});

await timedTransfer(async (direction, length, name) => {
  if (direction === "up") return await upload(name, generated(length));
  const sink = new CountingSink();
  await download(name, sink, length);
  if (sink.taken !== length) throw new Error(`${way} gave ${sink.taken} of ${length} bytes`);
});
client.destroy();

async function upload(name: string, source: Readable): Promise<void> {
  if (way === "plain") return await uploadByParts(name, source);
  if (way !== "aws-crypto") return void (await store.put(name, source, { replace: true }));
  const sealed = new PassThrough();
  const encrypt = async (): Promise<void> => {
    await awsCrypto?.encrypt(source, sealed);
    sealed.end();
  };
  await Promise.all([encrypt(), uploadByParts(name, sealed)]);
}

async function uploadByParts(name: string, body: Readable): Promise<void> {
  const params = { Bucket: bucket, Key: name, Body: body };
  await new storage.Upload({ client, params, partSize: PART_BYTES, queueSize: 4 }).done();
}

async function download(name: string, sink: CountingSink, length: number): Promise<void> {
  if (way === "plain" || way === "aws-crypto") {
    const { Body } = await client.send(new s3.GetObjectCommand({ Bucket: bucket, Key: name }));
    if (way === "plain") return await pipeline(Body, sink);
    await awsCrypto?.decrypt(Body, sink, length);
    return;
  }
  const opened = await store.get(name);
  await pipeline(Readable.from(piecesOf(opened.stream())), sink);
  opened.close();
}
