import { describe } from "vitest";
import { freshDatabase } from "../support/postgres.ts";
import { kyselyCases } from "./kysely-cases.ts";

describe("envelock/kysely", () => kyselyCases(freshDatabase));
