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
  const { ENVELOCK_ORMS: orms = join(FOLDER, "../..") } = process.env;
  const { version } = JSON.parse(readFileSync(join(orms, "node_modules/prisma/package.json"), "utf8"));
  writeFileSync(schema, `${version.startsWith("6.") ? GENERATOR_6 : GENERATOR}\n${models}`);
  const cli = join(orms, "node_modules/prisma/build/index.js");
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

/** Version 6 has engines too, which would be downloaded, unless the client is asked to do without. */
const GENERATOR_6 = `
generator client {
  provider   = "prisma-client"
  output     = "./generated"
  engineType = "client"
}

datasource db {
  provider = "postgresql"
  url      = "postgresql://127.0.0.1/unused"
}
`;
const GENERATOR = `
generator client {
  provider = "prisma-client"
  output   = "./generated"
}

datasource db {
  provider = "postgresql"
}
`;
