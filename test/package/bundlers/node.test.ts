import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { runtimeBinary } from "../../support/npm-tools.ts";
import { application, output, write } from "./application.ts";
import { BUNDLERS } from "./bundlers.ts";
import { HANDLER, LANES, PEERS, PRINTS, ROUND_TRIP, SEEN } from "./programs.ts";

beforeAll(() => {
  write("round-trip.js", ROUND_TRIP);
  write("prints.js", PRINTS);
  write("handler.js", HANDLER);
});

test("what npm installed runs as it is", () => {
  expect(output(process.execPath, ["prints.js"])).toBe(`${SEEN}\n`);
});

describe.each(Object.entries(BUNDLERS))("%s for Node", (name, bundle) => {
  test.each([
    ["esm", "mjs"],
    ["cjs", "cjs"],
  ] as const)("%s runs where nothing is installed", (format, ending) => {
    const outfile = `${name}-node.${ending}`;
    bundle({ entry: "prints.js", outfile, platform: "node", format });
    expect(outputAlone(outfile, [outfile])).toBe(`${SEEN}\n`);
  });

  test("the handler of a serverless function is one file", () => {
    const outfile = `${name}-handler.cjs`;
    bundle({ entry: "handler.js", outfile, platform: "node", format: "cjs" });
    const call = `require("./${outfile}").handler({}).then(({ body }) => console.log(body));`;
    expect(outputAlone(outfile, ["--eval", call])).toBe(`${SEEN}\n`);
  });
});

test.each(Object.entries(BUNDLERS))("%s goes on without optional packages that are not installed", (name, bundle) => {
  write("peers.js", PEERS);
  bundle({ entry: "peers.js", outfile: `${name}-peers.cjs`, platform: "node", format: "cjs", lacksPackages: true });
  expect(outputAlone(`${name}-peers.cjs`, [`${name}-peers.cjs`]).split("\n")).toEqual([
    expect.stringMatching(/^provider-failure: npm install @azure\/keyvault-keys/),
    expect.stringMatching(/^provider-failure: npm install @azure\/keyvault-secrets/),
    "provider-failure: npm install @noble/post-quantum",
    "",
  ]);
});

describe("worker threads, which need a file of their own", () => {
  test("run from what npm installed", () => {
    write("lanes.js", LANES);
    expect(output(process.execPath, ["lanes.js"])).toMatch(/^50\d{5}\n$/);
  });

  test.each(Object.entries(BUNDLERS))("are refused in one file by %s, with what to do", (name, bundle) => {
    write("lanes.js", LANES);
    bundle({ entry: "lanes.js", outfile: `${name}-lanes.cjs`, platform: "node", format: "cjs" });
    expect(outputAlone(`${name}-lanes.cjs`, [`${name}-lanes.cjs`])).toMatch(/^unavailable .*out of the bundle/);
  });
});

test.each([
  ["this Node", () => process.execPath],
  ["Node 22", () => runtimeBinary("node-22")],
  ["Node 24", () => runtimeBinary("node-24")],
])("%s requires the package from CommonJS", (_name, binary) => {
  write(
    "requires.cjs",
    `const { Keyring } = require("envelock");\nconst { localKey } = require("envelock/providers/local");\nconsole.log(typeof new Keyring(localKey({ keyId: "k", key: new Uint8Array(32) })).encrypt);\n`,
  );
  expect(output(binary(), ["--no-warnings", "requires.cjs"])).toBe("function\n");
});

/** Runs in a folder with this file alone, as on another machine: webpack writes paths of the one that builds into a bundle. */
function outputAlone(file: string, args: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), "envelock-alone-"));
  try {
    const bundled = readFileSync(join(application(), file), "utf8");
    writeFileSync(join(folder, file), bundled.replaceAll(application(), "/nowhere"));
    return output(process.execPath, args, { cwd: folder });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
