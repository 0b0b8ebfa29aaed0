// Encrypted columns in Drizzle: values are encrypted on their way into the database, rows are found by a blind index.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { PGlite } from "@electric-sql/pglite";
import { eq, type SQL } from "drizzle-orm";
import { check, pgTable, serial, text } from "drizzle-orm/pg-core";
import { drizzle } from "drizzle-orm/pglite";
import { Keyring } from "envelock";
import { encrypted, indexIn, isToken } from "envelock/drizzle";
import { DataKeys } from "envelock/fields";
import { localKey } from "envelock/providers/local";
import { postgresMigration, postgresStore } from "envelock/stores/postgres";

const client = new PGlite();
await client.exec(`${postgresMigration()};
  create table users (
    id serial primary key,
    email json not null check (json_typeof(email) = 'object'),
    email_index text generated always as (email ->> 'index') stored unique,
    age json
  )`);

// The KEK wraps data keys alone. In production it lies in a key service: only this line changes.
const keyring = new Keyring(localKey({ keyId: "users-1", key: randomBytes(32) }));

// Data keys lie wrapped in a table of the same database. After `field` the ciphers need no await.
const dataKeys = new DataKeys({ keyring, store: postgresStore({ client }) });
const email = await dataKeys.field({ table: "users", column: "email", blindIndex: { bits: 128, unique: true, normalise: "caseless" } });
const age = await dataKeys.field({ table: "users", column: "age", type: "number" });

// The database takes the index from what the column holds, so no write can forget it.
const users = pgTable(
  "users",
  {
    id: serial().primaryKey(),
    email: encrypted(email, { indexed: true }).notNull(),
    emailIndex: text("email_index")
      .generatedAlwaysAs((): SQL => indexIn(users.email))
      .unique(),
    age: encrypted(age),
  },
  (table) => [check("email_is_token", isToken(table.email))],
);
const db = drizzle(client);

const addresses = ["ada@example.org", "grace@example.org"];
for (const address of addresses) await db.insert(users).values({ email: address, age: 36 });

const [found] = await db
  .select()
  .from(users)
  .where(eq(users.emailIndex, email.blindIndex("ADA@example.org")));
assert.equal(found?.email, "ada@example.org");
assert.equal(found.age, 36);
console.log("found by its index:", found.email, found.age);

const { rows } = await client.query<{ email: { token: string; index: string } }>("select email from users order by id");
assert.ok(rows.every((row) => !addresses.some((address) => JSON.stringify(row).includes(address))));
console.log("what the database holds:", rows[0]?.email.token);

dataKeys.close();
await client.close();
