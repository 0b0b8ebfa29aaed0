import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getuid } from "node:process";

/**
 * A file of a Debian package, installed if that is allowed here.
 *
 * @param paths where the file may be, any of them
 * @param packages what brings it
 * @returns where it is
 * @throws Error that says what to install, so that a test that needs it fails and never passes by being skipped
 */
export function fileOfPackages(paths: readonly string[], packages: readonly string[]): string {
  const found = paths.find(existsSync) ?? installed(paths, packages);
  if (found === undefined) throw new Error(`${packages.join(" ")} came without any of ${paths.join(", ")}`);
  return found;
}

/** Those of `packages` that are not there, if this is a Debian where that can be told and mended. */
export function missingPackages(packages: readonly string[]): readonly string[] {
  return mayInstall() ? packages.filter((name) => spawnSync("dpkg-query", ["--status", name]).status !== 0) : [];
}

/** @throws Error if apt does */
export function installPackages(packages: readonly string[]): void {
  // several test files may want to install at once, and apt's own locks fail instead of waiting
  execFileSync("flock", [join(tmpdir(), "envelock-apt.lock"), "sh", "-c", INSTALL, "sh", ...packages], {
    stdio: "ignore",
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
}

function installed(paths: readonly string[], packages: readonly string[]): string | undefined {
  const command = `apt-get install ${packages.join(" ")}`;
  if (!mayInstall()) throw new Error(`missing ${paths.join(" or ")}: run \`${command}\` as root`);
  try {
    installPackages(packages);
  } catch (cause) {
    throw new Error(`missing ${paths.join(" or ")}, and \`${command}\` failed`, { cause });
  }
  return paths.find(existsSync);
}

function mayInstall(): boolean {
  return getuid?.() === 0 && existsSync(APT);
}

const APT = "/usr/bin/apt-get";
const INSTALL = `${APT} update && ${APT} install --yes --no-install-recommends "$@"`;
