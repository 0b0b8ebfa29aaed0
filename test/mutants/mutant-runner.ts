import { relative } from "node:path";
import { createVitest, type Vitest } from "vitest/node";
import { ENTRIES, INTERNAL } from "../../.config/entries.mjs";
import { rootPath } from "./root.ts";

// Runs the tests of the core against one mutated file after another, in this process: mutate.ts starts it, sends a mutation at a time and
// ends it if a mutation makes it hang.

export interface Order {
  /** From the root. */
  readonly path: string;
  readonly text: string | undefined;
  /** Groups of test files, one after another. */
  readonly tests: readonly (readonly string[])[];
}

export interface Answer {
  /** The first test that failed, or undefined if none did. */
  readonly failed: string | undefined;
}

let order: Order = { path: "", text: undefined, tests: [] };

const mutated = {
  name: "mutated",
  enforce: "pre" as const,
  load: (id: string): string | undefined =>
    order.text !== undefined && relative(rootPath("."), id.split("?")[0] ?? id) === order.path ? order.text : undefined,
};

async function started(): Promise<Vitest> {
  const alias = [
    ...Object.entries(INTERNAL).map(([find, { node }]) => ({ find, replacement: rootPath(node) })),
    ...Object.entries(ENTRIES).map(([entry, source]) => ({
      find: new RegExp(`^envelock${entry.slice(1)}$`),
      replacement: rootPath(source),
    })),
  ];
  return await createVitest(
    "test",
    {
      config: false,
      root: rootPath("."),
      watch: false,
      bail: 1,
      pool: "threads",
      isolate: false,
      maxWorkers: 1,
      fileParallelism: false,
      include: ["test/core/**/*.test.ts", "test/mutants/**/*.test.ts", "test/providers/composite/*.test.ts"],
      env: { ENVELOCK_TEST_ENGINE: "node" },
      reporters: [{}],
      testTimeout: 20_000,
    },
    { resolve: { alias }, plugins: [mutated], server: { watch: null } },
  );
}

async function run(vitest: Vitest, next: Order): Promise<Answer> {
  const last = order.path;
  order = next;
  forget(vitest);
  for (const path of [last, next.path]) vitest.invalidateFile(rootPath(path)); // the last mutation must not outlive its run
  for (const files of next.tests) {
    const specifications = files.flatMap((file) => vitest.getRootProject().createSpecification(rootPath(file)));
    const { testModules, unhandledErrors } = await vitest.runTestSpecifications(specifications, true);
    if (unhandledErrors.length > 0) return { failed: "an error of no test" };
    for (const module of testModules) {
      for (const entry of module.children.allTests("failed")) return { failed: `${module.moduleId}: ${entry.fullName}` };
      if (module.state() === "failed") return { failed: `${module.moduleId} did not load` };
    }
  }
  return { failed: undefined };
}

/** Vitest keeps the tests of earlier runs, counts their failures towards `bail` and would show them for the next mutation too. */
function forget({ state }: Vitest): void {
  state.filesMap.clear();
  state.pathsSet.clear();
  state.idMap.clear();
  state.errorsSet.clear();
}

const vitest = await started();
process.on("message", (next: Order) => {
  run(vitest, next).then(
    (answer) => process.send?.(answer),
    (error: unknown) => process.send?.({ failed: `the run itself: ${error}` } satisfies Answer),
  );
});
process.send?.({ failed: "ready" } satisfies Answer);
