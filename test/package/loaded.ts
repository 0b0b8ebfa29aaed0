import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { ROOT } from "./imports.ts";

/** What a process that only imports an entry has loaded. */
export interface Loaded {
  readonly builtins: readonly string[];
  /** Paths from the root of files that are not the package's own. */
  readonly packages: readonly string[];
  /** The package's own modules, as paths from the root. */
  readonly modules: readonly string[];
  /** The source files that the package's own modules were made of, by their source maps. */
  readonly sources: readonly string[];
}

/** Imports an entry by its public name, so through `exports` and `imports`, or by a path from the root, in a new process that tells of every module. */
export function loadedBy(entry: string): Loaded {
  const program = `await import(${JSON.stringify(entry)});`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", HOOKS, "--input-type=module", "-e", program], {
    cwd: ROOT,
    encoding: "utf8",
    env: {},
  });
  if (status !== 0) throw new Error(`${entry} does not load; has \`npm run build\` run? ${stderr}`);
  const urls = stdout.split("\n").filter((line) => line !== "");
  const paths = urls.filter((url) => url.startsWith("file:")).map((url) => relative(ROOT, fileURLToPath(url)));
  const modules = paths.filter((path) => path.startsWith("dist/"));
  return {
    modules,
    builtins: urls.filter((url) => url.startsWith("node:")).sort(),
    packages: paths.filter((path) => !path.startsWith("dist/")),
    sources: modules.flatMap(sourcesOf),
  };
}

/** An entry that only passes on what chunks hold has no map. */
function sourcesOf(path: string): readonly string[] {
  if (!existsSync(join(ROOT, `${path}.map`))) return [];
  const map: { readonly sources: readonly string[] } = JSON.parse(readFileSync(join(ROOT, `${path}.map`), "utf8"));
  return map.sources.map((source) => join(dirname(path), source));
}

const TELL = `
  import { writeSync } from "node:fs";
  export function load(url, context, next) {
    writeSync(1, url + "\\n");
    return next(url, context);
  }
`;
const REGISTER = `
  import { register } from "node:module";
  register(${JSON.stringify(moduleUrl(TELL))});
`;
const HOOKS: string = moduleUrl(REGISTER);

function moduleUrl(code: string): string {
  return `data:text/javascript,${encodeURIComponent(code)}`;
}
