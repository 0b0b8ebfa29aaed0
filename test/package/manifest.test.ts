import { expect, test } from "vitest";
import { MANIFEST } from "./manifest.ts";
import { packList } from "./packed.ts";

test("a dependency may be a later release that fixes something, a tool is one exact version", () => {
  const { dependencies, devDependencies } = MANIFEST;
  expect(Object.values(dependencies).filter((range) => !/^\^\d+\.\d+\.\d+$/.test(range))).toEqual([]);
  expect(Object.values(devDependencies).filter((range) => !/^\d+\.\d+\.\d+$/.test(range))).toEqual([]);
});

test("a page of the registry leads to the source and to where faults are reported", () => {
  expect(MANIFEST).toMatchObject({
    homepage: "https://github.com/envelock/envelock#readme",
    repository: { type: "git", url: "git+https://github.com/envelock/envelock.git" },
    bugs: "https://github.com/envelock/envelock/issues",
  });
});

test("the package holds no source maps, whose sources it does not hold, and no word of them", () => {
  expect(packList().filter((path) => path.endsWith(".map"))).toEqual([]);
});
