import type { CoarseEngine, EngineInfo, MissingReason, NativeInfo } from "../engine.ts";
import { nativeCoarse } from "./coarse.ts";
import { isNative } from "./functions.ts";
import { requireRightAnswers } from "./self-test.ts";
import { NATIVE_VERSION } from "./version.ts";

/** What became of `@envelock/native` in this thread. */
export type Native = LoadedNative | MissingNative;

interface LoadedNative {
  readonly coarse: CoarseEngine;
  readonly info: NativeInfo;
}

interface MissingNative {
  readonly coarse: undefined;
  readonly reason: MissingReason;
  readonly message: string;
}

/**
 * Loads the package if it is installed where `from` may load packages, is of this version, has a file for this platform, and answers known
 * questions rightly. Throws nothing: what keeps it from work is told, and node:crypto does the work.
 *
 * @param from a path or a URL of the module that loads it, which bundles of CommonJS leave undefined
 */
export function loadNative(from: string | undefined, allocate: (bytes: number) => Uint8Array<ArrayBuffer>): Native {
  if (from === undefined) return missing("not-loadable", `${PACKAGE} cannot be looked for from a bundle of CommonJS`);
  let load: (name: string) => unknown;
  let manifest: unknown;
  try {
    load = process.getBuiltinModule("node:module").createRequire(from);
    manifest = load(`${PACKAGE}/package.json`);
  } catch (error) {
    return codeOf(error) === "MODULE_NOT_FOUND"
      ? missing("not-installed", `${PACKAGE} is not installed`)
      : missing("not-loadable", `${PACKAGE} cannot be looked for: ${reasonOf(error)}`);
  }
  const version = typeof manifest === "object" && manifest !== null ? Reflect.get(manifest, "version") : undefined;
  if (version !== NATIVE_VERSION) return wrongVersion(version);
  const platform = PLATFORMS.find((name) => name === `${process.platform}-${process.arch}`);
  if (platform === undefined) return missing("no-build", `${PACKAGE} has no build for ${process.platform} on ${process.arch}`);
  let loaded: unknown;
  try {
    loaded = load(`${PACKAGE}/${platform}/envelock.node`);
  } catch (error) {
    return codeOf(error) === "MODULE_NOT_FOUND"
      ? missing("no-build", `${PACKAGE} was packed without its build for ${platform}`)
      : missing("not-loadable", `this runtime does not load ${PACKAGE} for ${platform}: ${reasonOf(error)}`);
  }
  return proven(loaded, platform, allocate);
}

function proven(loaded: unknown, platform: string, allocate: (bytes: number) => Uint8Array<ArrayBuffer>): Native {
  if (!isNative(loaded)) return missing("not-loadable", `${PACKAGE} for ${platform} lacks a function`);
  if (loaded.version !== NATIVE_VERSION) return wrongVersion(loaded.version);
  const { version, openssl, isFips } = loaded;
  try {
    const coarse = nativeCoarse(loaded, allocate);
    requireRightAnswers(coarse);
    return { coarse, info: { version, platform, openssl, isFips } };
  } catch (error) {
    return missing("wrong-answers", `${PACKAGE} for ${platform} failed its self-test: ${reasonOf(error)}`);
  }
}

/** Tells of an engine that has the package, or why it has not. */
export function infoOf(native: Native): EngineInfo {
  if (native.coarse !== undefined) return { name: "node-native", native: native.info };
  const { reason, message } = native;
  return { name: "node", without: { part: "native", reason, message } };
}

export function missing(reason: MissingReason, message: string): MissingNative {
  return { coarse: undefined, reason, message };
}

function wrongVersion(version: unknown): MissingNative {
  return missing("wrong-version", `${PACKAGE} is version ${String(version)}, and this Envelock takes ${NATIVE_VERSION} alone`);
}

function codeOf(error: unknown): unknown {
  return typeof error === "object" && error !== null ? Reflect.get(error, "code") : undefined;
}

/** Returns the first line: what follows in Node's messages is the list of places that were looked at. */
function reasonOf(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split("\n", 1)[0] ?? "";
}

const PACKAGE = "@envelock/native";
/** The folders of the package: a name that is not among these is never loaded. */
const PLATFORMS = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64", "win32-x64"] as const;
