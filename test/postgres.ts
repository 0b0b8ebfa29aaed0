import { randomBytes } from "node:crypto";
import { Client } from "pg";
import { afterAll, inject } from "vitest";
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

/** A new, empty database, dropped when the test file ends. @returns its URL */
export async function freshDatabase(): Promise<string> {
  const name = `test_${randomBytes(8).toString("hex")}`;
  const url = inject("postgresUrl");
  await administer(url, `create database ${name}`);
  afterAll(() => administer(url, `drop database ${name} with (force)`));
  return Object.assign(new URL(url), { pathname: name }).href;
}

async function administer(connectionString: string, statement: string): Promise<void> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
