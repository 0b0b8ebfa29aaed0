import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** The names that an entry's declaration file exports. @throws for an `export *`, which would make names public unseen */
export function exportedNames(path: string): readonly string[] {
  const text = textOf(path);
  if (/^export \*/m.test(text)) throw new Error(`${path}: names are exported one by one`);
  const lists = [...text.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(([, list = ""]) => list.split(","));
  const listed = lists
    .map((item) =>
      item
        .trim()
        .replace(/^type /, "")
        .replace(/^.* as /, ""),
    )
    .filter((name) => name !== "");
  return [...listed, ...declarationsIn(text).keys()];
}

/**
 * The declarations that can be reached from an entry's public names by the names that they mention, in the text of all the
 * declaration files that it imports: what a user's editor can show.
 */
export function reachableDeclarations(path: string): ReadonlyMap<string, string> {
  const declarations = new Map(filesFrom(path).flatMap((file) => [...declarationsIn(textOf(file))]));
  const reached = new Map<string, string>();
  const queue = [...exportedNames(path)];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    const declaration = declarations.get(name);
    if (declaration === undefined || reached.has(name)) continue;
    reached.set(name, declaration);
    queue.push(...(declaration.match(/\b[A-Z]\w*/g) ?? []));
  }
  return reached;
}

/** Parameters and properties of a declaration. */
export function memberNames(declaration: string): readonly string[] {
  return [...declaration.matchAll(/\b(\w+)\??:/g)].map(([, name = ""]) => name);
}

function filesFrom(path: string): readonly string[] {
  const files = new Set([path]);
  for (const file of files) {
    for (const [, specifier = ""] of textOf(file).matchAll(/ from "(\.[^"]+)\.js"/g)) {
      const target = join(dirname(file), `${specifier}.d.ts`);
      if (existsSync(target)) files.add(target);
    }
  }
  return [...files];
}

/** Top-level declarations by name. */
function declarationsIn(text: string): ReadonlyMap<string, string> {
  const parts = text.split(/^(?=(?:export |declare |interface |type |import ))/m);
  return new Map(
    parts.flatMap((part) => {
      const [, name] = /^(?:export )?(?:declare )?(?:abstract )?(?:const|let|function|class|interface|type) (\w+)/.exec(part) ?? [];
      return name === undefined ? [] : [[name, part] as const];
    }),
  );
}

function textOf(path: string): string {
  return readFileSync(path, "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
}
