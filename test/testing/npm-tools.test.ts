import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { installed } from "../support/npm-tools.ts";

test("a tool that several processes want at once is whole for each of them", async () => {
  const tool = ["installs", ["busboy@1.6.0"]] as const;
  const area = dirname(dirname(installed(...tool)));
  rmSync(area, { recursive: true });

  const wanting = [0, 1, 2, 3].map((after) => {
    const program = `
      await new Promise((resolve) => setTimeout(resolve, ${after * 150})); // in the middle of another's install
      const { installed } = await import("./test/support/npm-tools.ts");
      const { createRequire } = await import("node:module");
      createRequire(installed(...${JSON.stringify(tool)}))("busboy");`;
    return spawn(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", program], {
      cwd: fileURLToPath(new URL("../..", import.meta.url)),
      stdio: ["ignore", "ignore", "inherit"],
    });
  });
  expect(await Promise.all(wanting.map((child) => once(child, "exit")))).toEqual(wanting.map(() => [0, null]));
  expect(readdirSync(area)).toEqual(["busboy-1.6.0"]);
});
