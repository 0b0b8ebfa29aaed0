// Encrypted columns in Drizzle: values are encrypted on their way into the database, rows are found by a blind index.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { PGlite } from "@electric-sql/pglite";
import { eq } from "drizzle-orm";
import { pgTable, serial, text } from "drizzle-orm/pg-core";
import { drizzle } from "drizzle-orm/pglite";
import { Keyring } from "envelock";
import { encrypted } from "envelock/drizzle";
import { DataKeys } from "envelock/fields";
import { localKey } from "envelock/providers/local";
import { postgresMigration, postgresStore } from "envelock/stores/postgres";

const client = new PGlite();
await client.exec(`${postgresMigration()};
  create table users (id serial primary key, email json not null, email_index text not null unique, age json)`);

// The KEK wraps data keys alone. In production it lies in a key service: only this line changes.
const keyring = new Keyring(localKey({ keyId: "users-1", key: randomBytes(32) }));

// Data keys lie wrapped in a table of the same database. After `field` the ciphers need no await.
const dataKeys = new DataKeys({ keyring, store: postgresStore({ client }) });
const email = await dataKeys.field({ table: "users", column: "email", blindIndex: { bits: 128, normalise: "caseless" } });
const age = await dataKeys.field({ table: "users", column: "age", type: "number" });

const users = pgTable("users", {
  id: serial().primaryKey(),
  email: encrypted(email).notNull(),
  emailIndex: text("email_index").notNull().unique(),
  age: encrypted(age),
});
const db = drizzle(client);

const addresses = ["ada@example.org", "grace@example.org"];
for (const address of addresses) await db.insert(users).values({ email: address, emailIndex: email.blindIndex(address), age: 36 });

const [found] = await db
  .select()
  .from(users)
  .where(eq(users.emailIndex, email.blindIndex("ADA@example.org")));
assert.equal(found?.email, "ada@example.org");
assert.equal(found.age, 36);
console.log("found by its index:", found.email, found.age);

const { rows } = await client.query<{ email: string }>("select email from users order by id");
assert.ok(rows.every((row) => !addresses.some((address) => JSON.stringify(row).includes(address))));
console.log("what the database holds:", rows[0]?.email);

dataKeys.close();
await client.close();
