import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";
import { rolldown } from "rolldown";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { blocksOf, writeBlock } from "../../docs/code-blocks.ts";
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

  for (const folder of ["app/files/uploads/[id]", "app/forms"]) mkdirSync(join(application(), "next-app", folder), { recursive: true });
  write("next-app/recipe.mjs", await uploadRecipe());
  write("next-app/store.mjs", STORE);
  write("next-app/app/files/route.js", routeOf("POST", "upload(store, request)", "../.."));
  write("next-app/app/forms/route.js", routeOf("POST", "uploadForm(store, request)", "../.."));
  write("next-app/app/files/uploads/[id]/route.js", routeOf("GET", "downloads(store)(request)", "../../../.."));

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
}, 600_000);
afterAll(() => {
  server?.kill();
});

test.each(["server", "edge"])("Next runs it on the %s", async (place) => {
  const response = await fetch(`${origin}/api/${place}`);
  expect(await response.text()).toBe(SEEN);
});

describe("the recipe for uploads in Next's route handlers", () => {
  const bytes = Uint8Array.from({ length: 200_000 }, (_, at) => at % 251);
  const kept = (): readonly string[] =>
    readdirSync(join(application(), "next-app/blobs/uploads")).filter((name) => /^[0-9a-f-]{36}$/.test(name));

  test("stores what is sent, as a body or by a form, and serves a range of it", async () => {
    const form = new FormData();
    form.set("file", new File([bytes], "Übung 7.pdf", { type: "application/pdf" }));
    for (const [path, body, type] of [
      ["files", bytes, "application/octet-stream"],
      ["forms", form, "application/pdf"],
    ] as const) {
      const stored = await fetch(`${origin}/${path}`, { method: "POST", body });
      expect(stored.status).toBe(201);
      const { name } = await stored.json();
      const range = await fetch(`${origin}/files/${name}`, { headers: { range: "bytes=100000-100009" } });
      expect([range.status, range.headers.get("content-type"), range.headers.get("content-range")]).toEqual([
        206,
        type,
        "bytes 100000-100009/200000",
      ]);
      expect(new Uint8Array(await range.arrayBuffer())).toEqual(bytes.slice(100_000, 100_010));
    }
    expect((await fetch(`${origin}/files/uploads/${crypto.randomUUID()}`)).status).toBe(404);
  });

  test("keeps nothing of a body over the limit, nor of one whose client breaks off", async () => {
    const before = kept();
    expect((await fetch(`${origin}/files`, { method: "POST", body: new Uint8Array(50_000_001) })).status).toBe(413);
    const sending = request(`${origin}/files`, { method: "POST", headers: { "content-length": 200_000 } });
    sending.on("error", () => undefined);
    sending.write(bytes.subarray(0, 100_000), () => sending.destroy());
    await new Promise((resolve) => sending.once("close", resolve));
    const stored = await fetch(`${origin}/files`, { method: "POST", body: bytes }); // the server goes on
    expect(stored.status).toBe(201);
    expect(kept().length).toBe(before.length + 1);
  });
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

const STORE = `
import { Keyring } from "envelock";
import { encryptedStore } from "envelock/blobs";
import { fileBlobs } from "envelock/blobs/files";
import { localKey } from "envelock/providers/local";
const keyring = new Keyring(localKey({ keyId: "next", key: new Uint8Array(32).fill(7) }));
export const store = encryptedStore(keyring, fileBlobs("blobs"), { context: (name) => ({ object: name }) });
`;

function routeOf(method: string, call: string, root: string): string {
  const [name] = call.split("(");
  return `
import { ${name} } from "${root}/recipe.mjs";
import { store } from "${root}/store.mjs";
export const runtime = "nodejs";
export const ${method} = (request) => ${call};
`;
}

/** The block of the recipe, as JavaScript. */
async function uploadRecipe(): Promise<string> {
  const block = blocksOf("docs/recipes/store-uploads.md").find(({ code }) => code.includes("// request-uploads.ts"));
  if (block === undefined) throw new Error("the recipe is not there");
  const bundle = await rolldown({ input: writeBlock(application(), block), external: /^envelock/, tsconfig: false });
  const { output } = await bundle.generate({ format: "es" });
  await bundle.close();
  return output[0].code;
}
