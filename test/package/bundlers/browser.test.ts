import { readFileSync, statSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { type Browser, chromium } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fileOfPackages } from "../../support/debian-packages.ts";
import { originOf } from "../../support/serving.ts";
import { application, write } from "./application.ts";
import { BUNDLERS } from "./bundlers.ts";
import { PAGE, ROUND_TRIP, SEEN } from "./programs.ts";

let browser: Browser;
let server: Server;
let origin = "";

beforeAll(async () => {
  write("round-trip.js", ROUND_TRIP);
  write("page.js", PAGE);
  server = createServer((request, response) => {
    const [, name = "", kind = ""] = /^\/([\w.-]+)(?:\?(\w+))?$/.exec(request.url ?? "") ?? [];
    if (kind === "script") response.setHeader("content-type", "text/javascript").end(readFileSync(join(application(), name)));
    else
      response
        .setHeader("content-type", "text/html")
        .end(`<title>working</title><script ${kind === "esm" ? 'type="module"' : ""} src="/${name}?script"></script>`);
  });
  origin = await originOf(server);
  browser = await chromium.launch({
    executablePath: fileOfPackages(["/usr/bin/chromium"], ["chromium"]),
    args: ["--no-sandbox", "--disable-gpu"],
  });
});
afterAll(async () => {
  await browser.close();
  server.close();
});

describe.each(Object.entries(BUNDLERS))("%s for a browser", (name, bundle) => {
  test.each(["esm", "iife"] as const)("%s runs in Chromium", async (format) => {
    const outfile = `${name}-browser-${format}.js`;
    bundle({ entry: "page.js", outfile, platform: "browser", format });
    const page = await browser.newPage();
    await page.goto(`${origin}/${outfile}?${format}`);
    await page.waitForFunction("document.title !== 'working'", undefined, { timeout: 60_000 });
    expect(await page.title()).toBe(SEEN);
    await page.close();
  });
});

describe("what a page loads that imports one name", () => {
  test.each([
    ["envelock", "EnvelockError", 5],
    ["envelock", "inspect", 14],
    ["envelock", "Keyring", 187], // the WebAssembly module is 21 of them, its engine 9,
    ["envelock/providers/local", "localKey", 107],
    ["envelock/providers/conformance", "conformance", 40],
  ])("%s %s: at most %i kB", (entry, name, kilobytes) => {
    write("one-name.js", `import { ${name} } from "${entry}";\nconsole.log(${name});\n`);
    BUNDLERS.esbuild({ entry: "one-name.js", outfile: "one-name-bundle.js", platform: "browser", format: "esm" });
    expect(statSync(join(application(), "one-name-bundle.js")).size).toBeLessThanOrEqual(kilobytes * 1000);
  });
});
