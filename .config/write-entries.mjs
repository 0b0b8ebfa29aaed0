// npm run entries: writes what package.json and tsconfig.json say of entry points from the table in entries.mjs.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ENTRIES, INTERNAL, internalOutputOf, outputOf } from "./entries.mjs";

/** `exports` of package.json. */
export const EXPORTS = {
  ...mapped(ENTRIES, (source, entry) => ({
    types: `./dist/types/${source.replace(/\.ts$/, ".d.ts")}`,
    default: `./dist/${outputOf(entry)}.js`,
  })),
  "./package.json": "./package.json",
};

/** `imports` of package.json. */
export const IMPORTS = mapped(INTERNAL, ({ types: _, ...byCondition }, name) =>
  mapped(byCondition, (_source, condition) => `./dist/${internalOutputOf(name, condition)}.js`),
);

/** `paths` of tsconfig.json: the compiler looks at sources, never at what was built. */
export const PATHS = {
  ...mapped(INTERNAL, ({ node }) => [`./${node}`]),
  ...Object.fromEntries(Object.entries(ENTRIES).map(([entry, source]) => [`envelock${entry.slice(".".length)}`, [`./${source}`]])),
};

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  rewrite("package.json", (manifest) => ({ ...manifest, exports: EXPORTS, imports: IMPORTS }));
  rewrite("tsconfig.json", (config) => ({ ...config, compilerOptions: { ...config.compilerOptions, paths: PATHS } }));
}

function mapped(record, change) {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value, key)]));
}

/** Keys keep their order, so the difference shows what changed. */
function rewrite(path, change) {
  const url = new URL(`../${path}`, import.meta.url);
  const text = readFileSync(url, "utf8");
  writeFileSync(url, `${JSON.stringify(change(JSON.parse(text)), null, 2)}\n`);
}
