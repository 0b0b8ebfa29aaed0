import { randomBytes } from "node:crypto";
import { Client } from "pg";
import { inject } from "vitest";
import type { TestProject } from "vitest/node";
import { startPostgres } from "./postgres-server.ts";

// Debian's PostgreSQL for tests: one server for all files of the project "database", a database of its own for each that asks.

declare module "vitest" {
  interface ProvidedContext {
    readonly postgresUrl: string;
  }
}

/** The global set-up of the project. @returns its end */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startPostgres();
  project.provide("postgresUrl", server.url);
  return server.stop;
}

/** A new, empty database, which goes with the server. @returns its URL */
export async function freshDatabase(): Promise<string> {
  const name = `test_${randomBytes(8).toString("hex")}`;
  const url = inject("postgresUrl");
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(`create database ${name}`);
  } finally {
    await client.end();
  }
  return Object.assign(new URL(url), { pathname: name }).href;
}
