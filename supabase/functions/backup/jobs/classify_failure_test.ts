import assert from "node:assert/strict";
import { BackupError } from "../core/errors.ts";
import { DatabaseError } from "../postgres/database_error.ts";
import { classifyFailure } from "./classify_failure.ts";

const refused = (sqlState: string) =>
  new DatabaseError("look", { sqlState, severity: "ERROR", serverMessage: "said by the server" });

Deno.test("classifyFailure() tries again what passes, also where other words were put around it", () => {
  const part = { step: 3, attempt: 1 };
  for (const sqlState of ["08006", "53200", "40P01", "57014", "55P03"]) {
    const cause = refused(sqlState);
    const wrapped = new BackupError("target_unfit", "Cannot go on", { cause });
    assert.equal(classifyFailure(cause, part).kind, "retry", sqlState);
    assert.equal(classifyFailure(wrapped, part).kind, "retry", sqlState);
  }
  for (const sqlState of ["08P01", "42P01"]) {
    assert.equal(classifyFailure(refused(sqlState), part).kind, "final", sqlState);
  }
});
