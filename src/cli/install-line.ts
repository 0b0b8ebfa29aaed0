import { existsSync, realpathSync } from "node:fs";
import { dirname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The command that puts packages where this command finds them: beside it, wherever it was installed.
 *
 * @param packages names, with a space between them
 * @param program the path of this command's file
 */
export function installLine(packages: string, program: string = fileURLToPath(import.meta.url)): string {
  const modules = modulesFolderOf(program);
  if (modules === undefined) return `npm install ${packages}`;
  if (modules.includes(`${sep}_npx${sep}`)) {
    const names = ["envelock", ...packages.split(" ")].map((name) => `--package ${name}`);
    return `npx ${names.join(" ")} envelock …`;
  }
  // a project has a package.json beside its node_modules; npm's global prefix has none
  return existsSync(join(dirname(modules), "package.json")) ? `npm install ${packages}` : `npm install --global ${packages}`;
}

/** The outermost `node_modules` that holds the program, if one does: a package manager's store may lie in others. */
function modulesFolderOf(program: string): string | undefined {
  const parts = realPathOf(program).split(sep);
  const at = parts.indexOf("node_modules");
  return at === -1 ? undefined : parts.slice(0, at + 1).join(sep);
}

function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}
