import { describe } from "vitest";
import { freshDatabase } from "../support/postgres.ts";
import { drizzleCases } from "./drizzle-cases.ts";

describe("envelock/drizzle", () => drizzleCases(freshDatabase));
