import type { RawAnswer } from "../emulator/fault-plan.ts";
import { GcsAnswer, invalid } from "./answer.ts";
import { Bucket } from "./bucket.ts";
import { type GcsCall, type GcsState, jsonAnswer, NO_CONTENT } from "./gcs-call.ts";

// The operations on buckets.

export function createBucket(call: GcsCall): RawAnswer {
  call.require("storage.buckets.create", "");
  const { name, location = "EUROPE-WEST3", versioning } = call.json();
  if (typeof name !== "string" || typeof location !== "string") throw invalid("Required");
  const bucket = addBucket(call.state, name, location);
  bucket.isVersioned = isEnabled(versioning);
  return jsonAnswer(describedBucket(bucket, call.origin));
}

/** @throws `GcsAnswer` 400 for a name that is none, 409 for one that is taken */
export function addBucket(state: GcsState, name: string, location: string): Bucket {
  if (!/^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/.test(name) || /^goog|google/.test(name)) throw invalid(`Invalid bucket name: '${name}'`);
  if (state.buckets.has(name))
    throw new GcsAnswer(409, "conflict", "Your previous request to create the named bucket succeeded and you already own it.");
  const bucket = new Bucket(name, location, state.clock, state.capacity);
  state.buckets.set(name, bucket);
  return bucket;
}

export function getBucket(call: GcsCall): RawAnswer {
  call.require("storage.buckets.get", "");
  return jsonAnswer(describedBucket(call.bucket, call.origin));
}

export function listBuckets(call: GcsCall): RawAnswer {
  call.require("storage.buckets.list", "");
  const items = [...call.state.buckets.values()].map((bucket) => describedBucket(bucket, call.origin));
  return jsonAnswer({ kind: "storage#buckets", items });
}

export function patchBucket(call: GcsCall): RawAnswer {
  call.require("storage.buckets.update", "");
  const { bucket } = call;
  const { versioning, retentionPolicy, ...others } = call.json();
  const [other] = Object.keys(others);
  if (other !== undefined) throw invalid(`The emulator cannot change ${other} of a bucket.`);
  if (versioning !== undefined) bucket.isVersioned = isEnabled(versioning);
  if (retentionPolicy !== undefined) {
    const period = typeof retentionPolicy === "object" && retentionPolicy !== null ? Reflect.get(retentionPolicy, "retentionPeriod") : 0;
    bucket.retentionSeconds = Number(period);
  }
  return jsonAnswer(describedBucket(bucket, call.origin));
}

export function deleteBucket(call: GcsCall): RawAnswer {
  call.require("storage.buckets.delete", "");
  if (!call.bucket.isEmpty) throw new GcsAnswer(409, "conflict", "The bucket you tried to delete is not empty.");
  call.state.buckets.delete(call.bucketName);
  return NO_CONTENT;
}

function isEnabled(versioning: unknown): boolean {
  return typeof versioning === "object" && versioning !== null && Reflect.get(versioning, "enabled") === true;
}

function describedBucket({ name, location, createdMs, isVersioned, retentionSeconds }: Bucket, origin: string): object {
  return {
    kind: "storage#bucket",
    id: name,
    selfLink: `${origin}/storage/v1/b/${name}`,
    name,
    location,
    storageClass: "STANDARD",
    metageneration: "1",
    timeCreated: new Date(createdMs).toISOString(),
    versioning: { enabled: isVersioned },
    ...(retentionSeconds > 0 && { retentionPolicy: { retentionPeriod: `${retentionSeconds}` } }),
  };
}
