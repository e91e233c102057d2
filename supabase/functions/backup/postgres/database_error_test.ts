import assert from "node:assert/strict";
import { DatabaseError } from "./database_error.ts";

const codeOf = (sqlState: string, severity: string) =>
  new DatabaseError("look", { sqlState, severity, serverMessage: "said by the server" }).code;

Deno.test("DatabaseError tells a database that is away from one that refused what it was sent", () => {
  for (const sqlState of ["08006", "57P01", "53300"]) {
    assert.equal(codeOf(sqlState, "ERROR"), "database_unreachable", sqlState);
  }
  assert.equal(codeOf("08P01", "ERROR"), "database_error");
  assert.equal(codeOf("08P01", "FATAL"), "database_unreachable", "a pooler ends connections so");
});
