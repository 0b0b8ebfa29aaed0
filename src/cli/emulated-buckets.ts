import type { Command } from "commander";
import { EnvelockError } from "../core/base/errors.ts";
import type { EmulatorCommand, EmulatorOptions } from "./emulator-command.ts";
import { usageError } from "./failure.ts";

/** The options of emulators that keep objects in buckets. */
export interface BucketOptions extends EmulatorOptions {
  readonly bucket?: readonly string[];
  readonly https?: boolean;
}

export function addHttpsOption(command: Command): Command {
  return command.option("--https", "serve HTTPS, with a certificate of its own");
}

/** @throws `invalid-argument` for an authority that no certificate is signed by */
export function requireHttps({ https = false, caOut }: BucketOptions): void {
  if (caOut !== undefined && !https) throw usageError("--ca-out needs --https", "without it there is no certificate");
}

/** Makes the buckets that options name. @returns their names @throws `invalid-argument` */
export function madeBuckets(emulator: BucketMaker, { bucket = [] }: BucketOptions): readonly string[] {
  return bucket.map((spec) => madeBucket(emulator, spec));
}

interface BucketMaker {
  createBucket(name: string, traits: { readonly versioning: boolean }): string;
}

function madeBucket(emulator: BucketMaker, argument: string): string {
  const [name = "", versions] = argument.split(":");
  if (versions !== undefined && versions !== "versions")
    throw usageError(`"${argument}" is not name or name:versions`, "such as --bucket archive:versions");
  try {
    return emulator.createBucket(name, { versioning: versions !== undefined });
  } catch (error) {
    if (!EnvelockError.is(error)) throw error;
    throw usageError(error.message, "such as --bucket invoices");
  }
}

export const BUCKET_OPTION: EmulatorCommand["key"] = [
  "-b, --bucket <name[:versions]>",
  "make a bucket, such as invoices or archive:versions (repeatable)",
];
/** The faults of the bodies of requests and answers. */
export const BODY_FAULTS: readonly string[] = [
  "cut-up:<bytes>, cut-down:<bytes>",
  "lost",
  "truncated:<bytes>",
  "too-long:<bytes>",
  "too-short:<bytes>",
];
