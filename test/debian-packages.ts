import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
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

function installed(paths: readonly string[], packages: readonly string[]): string | undefined {
  const command = `apt-get install ${packages.join(" ")}`;
  if (getuid?.() !== 0 || !existsSync(APT)) throw new Error(`missing ${paths.join(" or ")}: run \`${command}\` as root`);
  try {
    execFileSync(APT, ["update"], { stdio: "ignore" });
    // two test files may want to install at once
    const options = ["--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"];
    execFileSync(APT, ["install", ...options, ...packages], {
      stdio: "ignore",
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
  } catch (cause) {
    throw new Error(`missing ${paths.join(" or ")}, and \`${command}\` failed`, { cause });
  }
  return paths.find(existsSync);
}

const APT = "/usr/bin/apt-get";
