import { describe } from "vitest";
import { freshDatabase } from "../support/postgres.ts";
import { typeormCases } from "./typeorm-cases.ts";

describe("envelock/typeorm", () => typeormCases(freshDatabase));
