import { describe } from "vitest";
import { freshDatabase } from "../postgres.ts";
import { prismaCases } from "./prisma-cases.ts";

describe("envelock/prisma", () => prismaCases(freshDatabase));
