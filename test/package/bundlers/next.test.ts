import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fileOfPackages } from "../../support/debian-packages.ts";
import { installed } from "../../support/npm-tools.ts";
import { application, output, write } from "./application.ts";
import { ROUND_TRIP, SEEN } from "./programs.ts";

// Next builds for three places at once: a server of Node, the edge, which has no Node, and a browser.

let server: ChildProcess;
let origin = "";

beforeAll(async () => {
  const modules = installed("bundlers", ["next@15.5.29", "react@19.1.1", "react-dom@19.1.1"]);
  for (const folder of ["next-app/node_modules", "next-app/pages/api"]) mkdirSync(join(application(), folder), { recursive: true });
  for (const name of ["next", "react", "react-dom"]) symlinkSync(join(modules, name), join(application(), "next-app/node_modules", name));
  write("next-app/package.json", '{ "private": true }');
  write(
    "next-app/next.config.mjs",
    "export default { eslint: { ignoreDuringBuilds: true }, outputFileTracingRoot: import.meta.dirname };\n",
  );
  write("next-app/round-trip.mjs", ROUND_TRIP);
  write("next-app/pages/index.js", CLIENT);
  write(
    "next-app/pages/api/server.js",
    'import { roundTrip } from "../../round-trip.mjs";\nexport default async (_, response) => response.send(await roundTrip());\n',
  );
  write(
    "next-app/pages/api/edge.js",
    'import { roundTrip } from "../../round-trip.mjs";\nexport const config = { runtime: "edge" };\nexport default async () => new Response(await roundTrip());\n',
  );

  const cwd = join(application(), "next-app");
  const env = { ...process.env, NEXT_TELEMETRY_DISABLED: "1", CI: "1", NODE_ENV: "production" as const };
  const next = join(modules, "next/dist/bin/next");
  output(process.execPath, [next, "build"], { cwd, env });
  server = spawn(process.execPath, [next, "start", "--hostname", "127.0.0.1", "--port", "0"], {
    cwd,
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (server.stdout === null) throw new Error("the server has no output");
  for await (const line of createInterface(server.stdout)) {
    const [url] = /http:\/\/127\.0\.0\.1:[1-9]\d*/.exec(line) ?? [];
    if (url === undefined) continue;
    origin = url;
    break;
  }
});
afterAll(() => {
  server?.kill();
});

test.each(["server", "edge"])("Next runs it on the %s", async (place) => {
  const response = await fetch(`${origin}/api/${place}`);
  expect(await response.text()).toBe(SEEN);
});

test("Next runs it in a browser", async () => {
  const browser = await chromium.launch({
    executablePath: fileOfPackages(["/usr/bin/chromium"], ["chromium"]),
    args: ["--no-sandbox", "--disable-gpu"],
  });
  try {
    const page = await browser.newPage();
    await page.goto(origin);
    const seen = page.locator("#seen");
    await seen.waitFor({ timeout: 60_000 });
    expect(await seen.textContent()).toBe(SEEN);
  } finally {
    await browser.close();
  }
});

const CLIENT = `
import { createElement, useEffect, useState } from "react";
import { roundTrip } from "../round-trip.mjs";
export default function Page() {
  const [seen, setSeen] = useState();
  useEffect(() => { roundTrip().then(setSeen, (error) => setSeen("failed: " + error)); }, []);
  return seen === undefined ? null : createElement("p", { id: "seen" }, seen);
}
`;
