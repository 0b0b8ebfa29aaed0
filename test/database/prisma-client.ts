import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PrismaPg } from "@prisma/adapter-pg";

const FOLDER = import.meta.dirname;

/**
 * A client generated from a schema, over PostgreSQL's driver. Generating takes no engine for the schema, which would be downloaded:
 * any program does in its place.
 */
export async function prismaClient(models: string, connectionString: string): Promise<GeneratedClient> {
  const folder = mkdtempSync(join(FOLDER, ".prisma-")); // inside the package, so that its imports are found
  const schema = join(folder, "schema.prisma");
  writeFileSync(schema, `${GENERATOR}\n${models}`);
  const cli = join(FOLDER, "../../node_modules/prisma/build/index.js");
  execFileSync(process.execPath, [cli, "generate", "--schema", schema], {
    env: { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath, PRISMA_HIDE_UPDATE_MESSAGE: "1", CHECKPOINT_DISABLE: "1" },
    stdio: "pipe",
  });
  const generated = await import(join(folder, "generated/client.ts"));
  const client = new generated.PrismaClient({ adapter: new PrismaPg({ connectionString, max: 1 }) });
  return {
    client,
    typesOf: (model) => readFileSync(join(folder, `generated/models/${model}.ts`), "utf8"),
    async close() {
      await client.$disconnect();
      rmSync(folder, { recursive: true });
    },
  };
}

export interface GeneratedClient {
  readonly client: PrismaClient;
  /** The generated types of a model. */
  typesOf(model: string): string;
  close(): Promise<void>;
}

/** What a generated client has, whatever its schema: its types come into being with it. */
type PrismaClient = Awaited<ReturnType<typeof import("@prisma/client/extension")["PrismaClient"]>>;

const GENERATOR = `
generator client {
  provider = "prisma-client"
  output   = "./generated"
}

datasource db {
  provider = "postgresql"
}
`;
