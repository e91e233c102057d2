import assert from "node:assert/strict";
import { isStateUnavailable, toStateError } from "./state_error.ts";

const from = (fields: Record<string, string>) =>
  toStateError(Object.assign(new Error("said by the server"), fields), "look");

Deno.test("toStateError() takes what ends a connection for a database that is away, whatever its code", () => {
  for (const code of ["08006", "57P03", "28P01", "3D000", "53300", "ECONNREFUSED"]) {
    assert.equal(from({ code, severity: "ERROR" }).code, "database_unreachable", code);
  }
  const pooler = from({ code: "XX000", severity: "FATAL" });
  assert.equal(pooler.code, "database_unreachable");
  assert.ok(isStateUnavailable(pooler));
  assert.equal(from({ code: "08P01", severity: "FATAL" }).code, "database_unreachable");
});

Deno.test("toStateError() tells a refused statement from missing tables and missing rights", () => {
  for (const code of ["XX001", "08P01"]) {
    assert.equal(from({ code, severity: "ERROR" }).code, "database_error", code);
  }
  assert.equal(from({ code: "42P01", severity: "ERROR" }).code, "not_found");
  assert.equal(from({ code: "42501", severity: "ERROR" }).code, "insufficient_privilege");
});

Deno.test("toStateError() tells what another try may mend", () => {
  for (const code of ["55P03", "40P01", "40001"]) {
    assert.equal(from({ code, severity: "ERROR" }).code, "lock_timeout", code);
  }
});

Deno.test("toStateError() says of a database that takes no writes that it is read-only, and why it may be", () => {
  const error = from({ code: "25006", severity: "ERROR" });
  assert.equal(error.code, "database_error");
  assert.equal(error.message, "Cannot look: the database is read-only");
  assert.match(error.hint!, /full/);
});
