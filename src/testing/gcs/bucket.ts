import { createHash } from "node:crypto";
import type { Clock } from "../../core/base/clock.ts";
import { Crc32 } from "../emulator/crc.ts";
import type { Capacity } from "../emulator/stored-bytes.ts";
import { GcsAnswer } from "./answer.ts";

/** What a caller states of an object beside its bytes. */
export interface ObjectTraits {
  /** `contentType` and its kin, by the names of the JSON API. */
  readonly headers: Readonly<Record<string, string>>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly temporaryHold: boolean;
  readonly eventBasedHold: boolean;
}

/** One generation of an object. */
export interface StoredObject {
  readonly name: string;
  readonly generation: number;
  readonly metageneration: number;
  readonly traits: ObjectTraits;
  readonly storageClass: string;
  readonly pieces: readonly Buffer[];
  readonly size: number;
  /** In base64. */
  readonly crc32c: string;
  /** In base64; undefined for an object that was composed of others. */
  readonly md5Hash: string | undefined;
  /** How many objects it was composed of. */
  readonly componentCount: number | undefined;
  readonly createdMs: number;
  readonly updatedMs: number;
}

/** A bucket in memory. */
export class Bucket {
  readonly name: string;
  readonly location: string;
  readonly createdMs: number;
  isVersioned = false;
  /** How long an object may be neither replaced nor deleted. */
  retentionSeconds = 0;
  /** The live generation of each object. */
  readonly #live: Map<string, StoredObject> = new Map();
  readonly #noncurrent: Map<string, readonly StoredObject[]> = new Map();
  readonly #capacity: Capacity;
  readonly #clock: Clock;

  constructor(name: string, location: string, clock: Clock, capacity: Capacity) {
    this.name = name;
    this.location = location;
    this.createdMs = clock.unixMs();
    this.#clock = clock;
    this.#capacity = capacity;
  }

  get isEmpty(): boolean {
    return this.#live.size === 0 && this.#noncurrent.size === 0;
  }

  /** The objects in the order of their UTF-8. @param withVersions also those that are no longer live, the oldest first */
  objects(withVersions: boolean): readonly StoredObject[] {
    const all = withVersions ? [...this.#noncurrent.values()].flat() : [];
    return [...all, ...this.#live.values()].sort(
      (a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)) || a.generation - b.generation,
    );
  }

  /** @param generation undefined for the live one */
  object(name: string, generation?: number): StoredObject | undefined {
    const live = this.#live.get(name);
    if (generation === undefined || live?.generation === generation) return live;
    return this.#noncurrent.get(name)?.find((each) => each.generation === generation);
  }

  /** Makes an object the live one. @throws `GcsAnswer` for one in its place that is held, or for more than fits */
  add(object: StoredObject): void {
    this.#requireFree(object.name);
    this.#capacity.hold(object.size);
    this.#retire(object.name);
    this.#live.set(object.name, object);
  }

  /** Changes what stands beside the bytes of a generation. */
  change(object: StoredObject): void {
    if (this.#live.get(object.name)?.generation === object.generation) this.#live.set(object.name, object);
    const others = this.#noncurrent.get(object.name) ?? [];
    if (others.length > 0) {
      this.#noncurrent.set(
        object.name,
        others.map((each) => (each.generation === object.generation ? object : each)),
      );
    }
  }

  /** Deletes the live generation, which a bucket with versions keeps as a noncurrent one. @throws `GcsAnswer` if it is held */
  delete(name: string): void {
    this.#requireFree(name);
    this.#retire(name);
    this.#live.delete(name);
  }

  /** Removes one generation for good. @throws `GcsAnswer` if it is held */
  deleteGeneration(name: string, generation: number): void {
    if (this.#live.get(name)?.generation === generation) {
      this.#requireFree(name);
      this.#capacity.release(this.#live.get(name)?.size ?? 0);
      this.#live.delete(name);
      return;
    }
    const left = (this.#noncurrent.get(name) ?? []).filter((each) => each.generation !== generation);
    this.#capacity.release(this.object(name, generation)?.size ?? 0);
    if (left.length > 0) this.#noncurrent.set(name, left);
    else this.#noncurrent.delete(name);
  }

  #retire(name: string): void {
    const before = this.#live.get(name);
    if (before === undefined) return;
    if (this.isVersioned) this.#noncurrent.set(name, [...(this.#noncurrent.get(name) ?? []), before]);
    else this.#capacity.release(before.size);
  }

  #requireFree(name: string): void {
    const now = this.#live.get(name);
    if (now === undefined) return;
    const { temporaryHold, eventBasedHold } = now.traits;
    if (temporaryHold || eventBasedHold) {
      const kind = temporaryHold ? "Temporary" : "Event-Based";
      const message = `Object '${this.name}/${name}' is under active ${kind} hold and cannot be deleted, overwritten or archived until hold is removed.`;
      throw new GcsAnswer(403, "objectUnderActiveHold", message);
    }
    if (this.#clock.unixMs() < now.createdMs + this.retentionSeconds * 1000) {
      const message = `Object '${this.name}/${name}' is subject to bucket's retention policy and cannot be deleted, overwritten or archived yet.`;
      throw new GcsAnswer(403, "retentionPolicyNotMet", message);
    }
  }
}

/** Computes the checksums of an object. */
export function checksumsOf(pieces: readonly Buffer[]): { readonly crc32c: string; readonly md5Hash: string } {
  const [crc, md5] = [new Crc32(0x82f63b78), createHash("md5")];
  for (const piece of pieces) {
    crc.update(piece);
    md5.update(piece);
  }
  return { crc32c: crc.digest().toString("base64"), md5Hash: md5.digest("base64") };
}
