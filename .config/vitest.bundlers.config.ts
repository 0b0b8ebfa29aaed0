import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

// npm run test:bundlers: the packed package in other people's tools, which come from npm. Apart from the suite, because they take
// minutes to install the first time.

const at = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));

export default defineConfig({
  root: at(""),
  test: {
    name: "bundlers",
    include: ["test/package/bundlers/*.test.ts"],
    globalSetup: at("test/package/bundlers/application.ts"),
    testTimeout: 180_000,
    hookTimeout: 180_000,
    maxWorkers: 2,
  },
});
