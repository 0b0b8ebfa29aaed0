import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { installed } from "../../support/npm-tools.ts";
import { application, output } from "./application.ts";

/** What is bundled for whom. */
export interface Order {
  /** Names of files of the application. */
  readonly entry: string;
  readonly outfile: string;
  readonly platform: "node" | "browser";
  readonly format: "esm" | "cjs" | "iife";
  /** Whether warnings are expected, of packages that are not installed. */
  readonly lacksPackages?: boolean;
}

/** Bundlers by name. Each puts all into one file. @throws with what the bundler said */
export const BUNDLERS: Readonly<Record<"esbuild" | "rollup" | "webpack" | "vite", (order: Order) => void>> = {
  esbuild({ entry, outfile, platform, format }) {
    const modules = installed("bundlers", ["esbuild@0.28.2"]);
    output(join(modules, ".bin/esbuild"), [
      entry,
      "--bundle",
      "--minify",
      `--platform=${platform}`,
      `--format=${format}`,
      `--outfile=${outfile}`,
      "--log-level=warning",
    ]);
  },
  rollup({ entry, outfile, platform, format, lacksPackages = false }) {
    const modules = installed("bundlers", ["rollup@4.50.0", "@rollup/plugin-node-resolve@16.0.3"]);
    run(`
      import { rollup } from ${url(modules, "rollup/dist/es/rollup.js")};
      import { nodeResolve } from ${url(modules, "@rollup/plugin-node-resolve/dist/es/index.js")};
      const plugins = [nodeResolve({ browser: ${platform === "browser"}, exportConditions: [${JSON.stringify(platform)}] })];
      const refuse = (warning) => { if (${!lacksPackages}) throw new Error(warning.message); };
      const bundle = await rollup({ input: ${JSON.stringify(entry)}, plugins, onwarn: refuse, external: [/^node:/] });
      await bundle.write({ file: ${JSON.stringify(outfile)}, format: ${JSON.stringify(format)}, inlineDynamicImports: true, name: "bundle" });
    `);
  },
  webpack({ entry, outfile, platform, format, lacksPackages = false }) {
    const modules = installed("bundlers", ["webpack@5.112.2"]);
    const library = format === "esm" ? { type: "module" } : format === "cjs" ? { type: "commonjs2" } : undefined;
    run(`
      import webpack from ${url(modules, "webpack/lib/index.js")};
      const options = ${JSON.stringify({
        mode: "production",
        context: application(),
        entry: `./${entry}`,
        target: platform === "node" ? "node20" : "web",
        devtool: false,
        performance: false,
        experiments: { outputModule: format === "esm" },
        output: { path: application(), filename: outfile, library },
      })};
      // one file: code that is loaded late goes into it too
      const plugins = [new webpack.optimize.LimitChunkCountPlugin({ maxChunks: 1 })];
      webpack({ ...options, plugins }, (error, stats) => {
        const said = error ?? (stats.hasErrors() || (${!lacksPackages} && stats.hasWarnings()) ? stats.toString({ all: false, errors: true, warnings: true }) : undefined);
        if (said !== undefined) throw new Error(String(said));
      });
    `);
  },
  vite({ entry, outfile, platform, format }) {
    const modules = installed("bundlers", ["vite@8.3.8"]);
    run(`
      import { build } from ${url(modules, "vite/dist/node/index.js")};
      await build({
        configFile: false,
        logLevel: "warn",
        root: ${JSON.stringify(application())},
        ${platform === "node" ? "ssr: { noExternal: true, target: 'node' }," : ""}
        build: {
          ${platform === "node" ? `ssr: ${JSON.stringify(entry)},` : `lib: { entry: ${JSON.stringify(entry)}, name: "bundle", formats: [${JSON.stringify(format === "esm" ? "es" : format)}] },`}
          outDir: ".", emptyOutDir: false, copyPublicDir: false,
          rolldownOptions: { output: { entryFileNames: ${JSON.stringify(outfile)}, format: ${JSON.stringify(format === "esm" ? "es" : format)}, codeSplitting: false } },
        },
      });
    `);
  },
};

function run(program: string): void {
  output(process.execPath, ["--input-type=module", "--eval", program]);
}

function url(modules: string, path: string): string {
  return JSON.stringify(pathToFileURL(join(modules, path)).href);
}
