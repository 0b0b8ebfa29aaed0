import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { getuid } from "node:process";

/**
 * Debian's Chromium, installed if that is allowed here.
 *
 * @returns its path, or what is missing
 */
export function chromium(): { readonly path: string } | { readonly missing: string } {
  const found = PATHS.find(existsSync);
  if (found !== undefined) return { path: found };
  if (getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) return { missing: "no Chromium: run `apt-get install chromium` as root" };
  try {
    execFileSync("apt-get", ["update"], { stdio: "ignore" });
    execFileSync("apt-get", ["install", "--yes", "--no-install-recommends", "chromium"], { stdio: "ignore" });
  } catch {
    return { missing: "no Chromium: `apt-get install chromium` failed" };
  }
  const installed = PATHS.find(existsSync);
  return installed === undefined ? { missing: "no Chromium, though its package is installed" } : { path: installed };
}

const PATHS: readonly string[] = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
