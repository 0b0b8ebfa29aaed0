import { spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { createInterface } from "node:readline";
import { beforeAll, expect, test } from "vitest";
import { installNative, packageIn } from "../../support/native-package.ts";
import { runtimeBinary } from "../../support/npm-tools.ts";
import { application, output, write } from "./application.ts";
import { BUNDLERS } from "./bundlers.ts";
import { PRINTS, ROUND_TRIP, SEEN } from "./programs.ts";

beforeAll(() => {
  write("round-trip.js", ROUND_TRIP);
  write("prints.js", PRINTS);
});

test("Bun runs what npm installed", () => {
  expect(output(runtimeBinary("bun"), ["prints.js"])).toBe(`${SEEN}\n`);
});

test("Node takes @envelock/native where it is installed, and Bun, which exports no OpenSSL, goes on without it and does not die", () => {
  installNative(application());
  try {
    const program = [
      'import { engineInfo } from "envelock";',
      'import { roundTrip } from "./round-trip.js";',
      "console.log(await roundTrip());",
      "console.log(engineInfo().without?.message);",
    ];
    write("engine.js", program.join("\n"));
    expect(output(process.execPath, ["engine.js"])).toBe(`${SEEN}\nundefined\n`);
    expect(output(runtimeBinary("bun"), ["engine.js"])).toMatch(new RegExp(`^${SEEN}\n.*does not load.*undefined symbol`));
  } finally {
    rmSync(packageIn(application()), { recursive: true });
  }
});

test("Deno runs what npm installed", () => {
  const env = { ...process.env, DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" };
  expect(output(runtimeBinary("deno"), ["run", "--allow-all", "--no-remote", "--node-modules-dir=manual", "prints.js"], { env })).toBe(
    `${SEEN}\n`,
  );
});

test("workerd runs a bundle", async () => {
  write(
    "worker.js",
    `import { roundTrip } from "./round-trip.js";\nexport default { async fetch() { return new Response(await roundTrip()); } };\n`,
  );
  BUNDLERS.esbuild({ entry: "worker.js", outfile: "worker-bundle.js", platform: "browser", format: "esm" });
  write("worker.capnp", WORKER);
  const workerd = spawn(runtimeBinary("workerd"), ["serve", "worker.capnp", "--socket-addr=http=127.0.0.1:0", "--control-fd=1"], {
    cwd: application(),
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const [line] = await once(createInterface(workerd.stdout), "line");
    const { port }: { readonly port: number } = JSON.parse(line);
    const response = await fetch(`http://127.0.0.1:${port}/`);
    expect(await response.text()).toBe(SEEN);
  } finally {
    workerd.kill();
  }
});

const WORKER = `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (modules = [(name = "worker.js", esModule = embed "worker-bundle.js")], compatibilityDate = "2026-01-01"))],
  sockets = [(name = "http", address = "*:8080", http = (), service = "main")],
);
`;
