import { expect, test } from "vitest";
import { namesInSql } from "../../src/integrations/sql-text.ts";

test("a word that some database takes for a name is looked for without quotes too, and any word after a dot", () => {
  for (const text of ["select * from User", "update user set x = 1", "select * from public.user", "select * from app . User"])
    expect(namesInSql(text, "User", false)).toBe(true);
  for (const text of [
    "select end from t",
    "select desc, by from t",
    "select t.order from t",
    'select "order" from t',
    "select `order` from t",
  ])
    expect(["end", "desc", "order"].some((name) => namesInSql(text, name, false))).toBe(true);
  for (const text of ["select x from t order by x", "select username, user_id from users"])
    expect(["order", "User"].some((name) => namesInSql(text, name, false))).toBe(false);
});

test("a name that is written by the numbers of its characters may be any", () => {
  expect(namesInSql('select email from U&"\\0075sers"', "users", true)).toBe(true);
  expect(namesInSql('select menu & "users_old"', "orders", true)).toBe(false);
});
