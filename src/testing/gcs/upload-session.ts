import type { StoredObject } from "./bucket.ts";
import type { StatedObject } from "./object-traits.ts";

/** An upload in one session. */
export interface UploadSession {
  readonly id: string;
  readonly bucket: string;
  readonly name: string;
  readonly stated: StatedObject;
  /** Makes the object: the conditions of the request that began the session hold at the end too. @throws `GcsAnswer` */
  readonly make: (stated: StatedObject, pieces: readonly Buffer[]) => StoredObject;
  /** The length of the object, if it was stated at the beginning. */
  readonly statedBytes: number | undefined;
  readonly startedMs: number;
  readonly pieces: Buffer[];
  kept: number;
  object: StoredObject | undefined;
  isCancelled: boolean;
}
