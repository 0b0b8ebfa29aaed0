import { describe } from "vitest";
import { freshDatabase } from "../postgres.ts";
import { typeormCases } from "./typeorm-cases.ts";

describe("envelock/typeorm", () => typeormCases(freshDatabase));
