import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, test } from "vitest";
import { conformance } from "../../providers/conformance/index.ts";
import { blocksOf, ROOT, writeBlock } from "./code-blocks.ts";
import { startSealer } from "./sealer.ts";

// The provider that providers/README.md shows is run, not only compiled.
const folder = mkdtempSync(join(ROOT, "test/docs/.blocks-"));
const modules = blocksOf("providers/README.md")
  .filter(({ language }) => language === "ts")
  .map((block) => writeBlock(folder, block));
const path = modules.find((name) => name.endsWith("/sealer-harness.ts"));
const sealer = await startSealer();
const { sealerHarness } = await import(path ?? "");

afterAll(() => {
  sealer[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

describe("the provider in providers/README.md", () => {
  for (const { name, run } of conformance(sealerHarness(sealer))) test(name, run);
});
