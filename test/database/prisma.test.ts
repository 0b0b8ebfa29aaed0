import { describe } from "vitest";
import { freshDatabase } from "../support/postgres.ts";
import { prismaCases } from "./prisma-cases.ts";

describe("envelock/prisma", () => prismaCases(freshDatabase));
