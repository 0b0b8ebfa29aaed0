import { execFileSync } from "node:child_process";
import { accessSync, constants, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { expect, test } from "vitest";
import { ROOT, run, scratch } from "./runner.ts";

const { at, folder, names } = scratch();

test("the packed package runs from where a package manager links it", async () => {
  execFileSync("npm", ["pack", "--ignore-scripts", "--pack-destination", folder], { cwd: ROOT, stdio: "ignore" });
  const [packed = ""] = names();
  const home = at("node_modules");
  mkdirSync(`${home}/.bin`, { recursive: true });
  execFileSync("tar", ["-xzf", at(packed), "-C", home]);
  for (const name of ["commander", "@noble"]) symlinkSync(`${ROOT}/node_modules/${name}`, `${home}/${name}`); // its dependencies
  const linked = `${home}/.bin/envelock`;
  symlinkSync("../package/dist/cli.js", linked);

  accessSync(linked, constants.X_OK);
  const version = execFileSync(linked, ["--version"], { encoding: "utf8" }).trim();
  expect(JSON.parse(readFileSync(`${ROOT}/package.json`, "utf8"))).toMatchObject({ version });
  const { exitCode } = await run(["keygen", "keys.json"], undefined, { cwd: folder, command: linked });
  expect(exitCode).toBe(0);
  expect(names()).toContain("keys.json");
});
