import { Client } from "pg";
import { expect, test } from "vitest";
import { freshDatabase } from "../support/postgres.ts";

test("each test file has a database of its own", async () => {
  const [one, other] = [await freshDatabase(), await freshDatabase()];
  await query(one, "create table kept (id int)");
  expect(await query(one, "select count(*)::int as rows from kept")).toEqual([{ rows: 0 }]);
  await expect(query(other, "select * from kept")).rejects.toThrow('relation "kept" does not exist');
});

async function query(connectionString: string, statement: string): Promise<unknown> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    return (await client.query(statement)).rows;
  } finally {
    await client.end();
  }
}
