import { afterAll, beforeAll, describe } from "vitest";
import { drizzleCases } from "./drizzle-cases.ts";
import { kyselyCases } from "./kysely-cases.ts";
import { pgliteServer } from "./pglite-server.ts";
import { prismaCases } from "./prisma-cases.ts";
import { typeormCases } from "./typeorm-cases.ts";

// One PGlite for all adapters: starting it takes longer than the tests.

let server: Awaited<ReturnType<typeof pgliteServer>>;
beforeAll(async () => {
  server = await pgliteServer();
}, 120_000);
afterAll(() => server.close());

describe("envelock/drizzle on PGlite", () => drizzleCases(async () => server.url));
describe("envelock/kysely on PGlite", () => kyselyCases(async () => server.url));
describe("envelock/typeorm on PGlite", () => typeormCases(async () => server.url));
describe("envelock/prisma on PGlite", () => prismaCases(async () => server.url));
