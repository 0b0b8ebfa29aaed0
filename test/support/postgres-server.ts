import { type ChildProcessByStdio, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chownSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { getuid } from "node:process";
import type { Readable, Writable } from "node:stream";
import { fileOfPackages } from "./debian-packages.ts";

// Debian's PostgreSQL, for tests and benchmarks.

export interface PostgresServer {
  /** Of the superuser, on 127.0.0.1. */
  readonly url: string;
  /** Ends the server, as a machine that is started anew does, and starts it again on its port. */
  restart(): Promise<void>;
  /** Ends the server and removes what it wrote. */
  stop(): Promise<void>;
}

/**
 * Starts a server on a free loopback port, in a folder of its own, as an unprivileged user where this process is root: PostgreSQL
 * refuses to run as root.
 *
 * @throws Error that says what is missing, or what the server said
 */
export async function startPostgres(): Promise<PostgresServer> {
  const binaries = dirname(fileOfPackages(INITDB, ["postgresql"]));
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(binaries);
    } catch (error) {
      if (attempt === MAX_ATTEMPTS) throw error; // else: somebody else may have taken the port in between
    }
  }
}

async function startOnce(binaries: string): Promise<PostgresServer> {
  const owner = unprivileged();
  const folder = mkdtempSync(join(tmpdir(), "envelock-postgres-"));
  const password = randomBytes(16).toString("hex");
  const data = join(folder, "data");
  const passwordFile = join(folder, "password");
  try {
    writeFileSync(passwordFile, password, { mode: 0o600 });
    if (owner !== undefined) for (const path of [folder, passwordFile]) chownSync(path, owner.uid, owner.gid);
    const options = [`--pgdata=${data}`, "--username=postgres", `--pwfile=${passwordFile}`, "--auth=scram-sha-256", "--no-sync"];
    execFileSync(join(binaries, "initdb"), [...options, "--encoding=UTF8", "--locale=C.UTF-8"], { ...owner, cwd: folder, stdio: "pipe" });
    const port = await freePort();
    const settings = Object.entries({ ...SETTINGS, port }).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const guard = spawn("/bin/sh", ["-c", GUARD, folder, join(binaries, "postgres"), "-D", data, ...settings], {
      ...owner,
      cwd: folder,
      detached: true, // what ends this process's group must not end the guard before it has cleaned up
      stdio: ["pipe", "ignore", "pipe"],
    });
    await ready(guard, ["database system is shut down", "FATAL"]);
    return {
      url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres`,
      async restart() {
        guard.stdin.write("restart\n");
        await ready(guard, []);
      },
      stop: () => ended(guard),
    };
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

type Guard = ChildProcessByStdio<Writable, null, Readable>;

/** Resolves once the server takes connections. @param ends what it says when it never will */
async function ready(guard: Guard, ends: readonly string[]): Promise<void> {
  let log = "";
  let isReady = false;
  guard.stderr.setEncoding("utf8");
  for await (const text of guard.stderr.iterator({ destroyOnReturn: false })) {
    log += text;
    isReady = log.includes("ready to accept connections");
    if (isReady || ends.some((end) => log.includes(end))) break;
  }
  if (isReady) {
    guard.stderr.resume(); // after the iterator has let go: a server whose log nobody reads stands still once the pipe is full
    return;
  }
  await ended(guard);
  throw new Error(`PostgreSQL did not start: ${log}`);
}

async function ended(guard: Guard): Promise<void> {
  const closed = once(guard, "exit");
  guard.stderr.resume();
  guard.stdin.end();
  await closed;
}

/** Another user than root; undefined where this process is none. */
function unprivileged(): { readonly uid: number; readonly gid: number } | undefined {
  if (getuid?.() !== 0) return undefined;
  for (const name of ["postgres", "nobody"]) {
    try {
      const idOf = (flag: string): number => Number(execFileSync("id", [flag, name], { encoding: "utf8", stdio: "pipe" }));
      return { uid: idOf("-u"), gid: idOf("-g") };
    } catch {} // no such user
  }
  throw new Error("PostgreSQL does not run as root, and there is no user postgres or nobody");
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** Debian's places, newest first. */
const INITDB: readonly string[] = [20, 19, 18, 17, 16, 15, 14, 13].map((version) => `/usr/lib/postgresql/${version}/bin/initdb`);

/** What is written is thrown away, so nothing waits for a disk. */
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "200",
  shared_buffers: "32MB",
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  autovacuum: "off",
};

// Runs the server for as long as its standard input is open. That closes with the process that started it, however that ends, so
// also a test run that was killed leaves neither server nor files. $0 is the folder.
// A line makes it start the server anew.
const GUARD = `"$@" & while read -r _; do kill -INT $! && wait $!; "$@" & done; kill -INT $! && wait $!; cd / && rm -rf "$0"`;

const MAX_ATTEMPTS = 3;
