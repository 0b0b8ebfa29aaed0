import { createHash, randomBytes } from "node:crypto";
import type { Capacity } from "../emulator/stored-bytes.ts";
import type { Checksum, ChecksumAlgorithm, ChecksumType } from "./checksums.ts";

/** What a caller states of an object beside its bytes. */
export interface ObjectTraits {
  /** `content-type` and its kin, by their names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Values by their names without `x-amz-meta-`. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly storageClass: string;
  readonly tags: ReadonlyMap<string, string>;
}

/** One version of an object. */
export interface StoredObject extends ObjectTraits {
  readonly isMarker: false;
  /** `null` for a version from before versioning. */
  readonly versionId: string;
  readonly pieces: readonly Buffer[];
  readonly size: number;
  /** With its quotation marks. */
  readonly etag: string;
  readonly modifiedMs: number;
  tags: ReadonlyMap<string, string>;
  checksum: Checksum | undefined;
  /** The parts that it was made of. */
  readonly parts: readonly ObjectPart[] | undefined;
  readonly annotations: Map<string, Annotation>;
}

export interface ObjectPart {
  readonly number: number;
  readonly size: number;
  readonly checksum: string | undefined;
}

export interface Annotation {
  readonly bytes: Buffer;
  readonly etag: string;
  readonly modifiedMs: number;
}

/** The mark that a deletion leaves in a bucket with versions. */
export interface DeleteMarker {
  readonly isMarker: true;
  readonly versionId: string;
  readonly modifiedMs: number;
}

export type ObjectVersion = StoredObject | DeleteMarker;

/** A multipart upload that was neither completed nor aborted. */
export interface MultipartUpload {
  readonly id: string;
  readonly key: string;
  readonly traits: ObjectTraits;
  readonly startedMs: number;
  readonly checksum: { readonly algorithm: ChecksumAlgorithm; readonly type: ChecksumType } | undefined;
  readonly parts: Map<number, StoredPart>;
}

export interface StoredPart {
  readonly number: number;
  readonly pieces: readonly Buffer[];
  readonly size: number;
  readonly etag: string;
  readonly checksum: string | undefined;
  readonly modifiedMs: number;
}

/** A bucket in memory. */
export class Bucket {
  readonly name: string;
  readonly region: string;
  readonly createdMs: number;
  readonly uploads: Map<string, MultipartUpload> = new Map();
  versioning: "Enabled" | "Suspended" | undefined;
  /** The newest version is the last. */
  readonly #versions: Map<string, ObjectVersion[]> = new Map();
  readonly #deletions: Map<string, number> = new Map();
  readonly #capacity: Capacity;
  #sorted: readonly string[] | undefined;

  constructor(name: string, region: string, createdMs: number, capacity: Capacity) {
    this.name = name;
    this.region = region;
    this.createdMs = createdMs;
    this.#capacity = capacity;
  }

  get isEmpty(): boolean {
    return this.#versions.size === 0;
  }

  /** All keys that have a version, in the order of their UTF-8. */
  get keys(): readonly string[] {
    this.#sorted ??= [...this.#versions.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    return this.#sorted;
  }

  /** The newest first. */
  versionsOf(key: string): readonly ObjectVersion[] {
    return (this.#versions.get(key) ?? []).toReversed();
  }

  /** The current object; undefined if there is none or it was deleted. */
  current(key: string): StoredObject | undefined {
    const newest = this.#versions.get(key)?.at(-1);
    return newest === undefined || newest.isMarker ? undefined : newest;
  }

  /** @throws `StorageFull` */
  add(key: string, object: StoredObject): void {
    this.#capacity.hold(object.size);
    this.#push(key, object);
  }

  /** Deletes an object, or marks it as deleted. @param tick of the request @returns the marker */
  delete(key: string, tick: number, nowMs: number): DeleteMarker | undefined {
    this.#noteDeletion(key, tick);
    if (this.versioning === undefined) {
      for (const version of this.#versions.get(key) ?? []) this.#freed(version);
      this.#versions.delete(key);
      this.#sorted = undefined;
      return undefined;
    }
    const marker: DeleteMarker = { isMarker: true, versionId: this.newVersionId(), modifiedMs: nowMs };
    this.#push(key, marker);
    return marker;
  }

  /** Removes one version for good. @returns what was removed */
  deleteVersion(key: string, versionId: string, tick: number): ObjectVersion | undefined {
    const versions = this.#versions.get(key) ?? [];
    const found = versions.find((version) => version.versionId === versionId);
    if (found === undefined) return undefined;
    this.#noteDeletion(key, tick);
    this.#freed(found);
    const left = versions.filter((version) => version !== found);
    if (left.length > 0) this.#versions.set(key, left);
    else this.#versions.delete(key);
    this.#sorted = undefined;
    return found;
  }

  /** Whether a key was deleted after a request with this tick had arrived. */
  wasDeletedSince(key: string, tick: number): boolean {
    return (this.#deletions.get(key) ?? 0) > tick;
  }

  newVersionId(): string {
    return this.versioning === "Enabled" ? randomBytes(16).toString("base64url") : "null";
  }

  /** @throws `StorageFull` */
  addPart(upload: MultipartUpload, part: StoredPart): void {
    this.#capacity.hold(part.size);
    this.#capacity.release(upload.parts.get(part.number)?.size ?? 0);
    upload.parts.set(part.number, part);
  }

  /** Forgets an upload and the bytes of its parts. */
  endUpload(upload: MultipartUpload): void {
    for (const { size } of upload.parts.values()) this.#capacity.release(size);
    this.uploads.delete(upload.id);
  }

  #push(key: string, version: ObjectVersion): void {
    const before = this.#versions.get(key) ?? [];
    const replaced = before.filter(({ versionId }) => versionId === version.versionId); // `null` is replaced by `null`
    for (const old of replaced) this.#freed(old);
    this.#versions.set(key, [...before.filter((old) => !replaced.includes(old)), version]);
    if (before.length === 0) this.#sorted = undefined;
  }

  #freed(version: ObjectVersion): void {
    if (!version.isMarker) this.#capacity.release(version.size);
  }

  #noteDeletion(key: string, tick: number): void {
    if (this.current(key) === undefined) return;
    this.#deletions.delete(key);
    this.#deletions.set(key, tick);
    const [oldest] = this.#deletions.keys();
    if (this.#deletions.size > MOST_DELETIONS && oldest !== undefined) this.#deletions.delete(oldest);
  }
}

/** The ETag of bytes: MD5 in quotation marks. */
export function etagOf(pieces: readonly Uint8Array[]): string {
  return `"${md5(pieces).toString("hex")}"`;
}

export function md5(pieces: readonly Uint8Array[]): Buffer {
  const hash = createHash("md5");
  for (const piece of pieces) hash.update(piece);
  return hash.digest();
}

/** Deletions that a bucket remembers: older ones are older than any request that is under way. */
const MOST_DELETIONS = 10_000;
