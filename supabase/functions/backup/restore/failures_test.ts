import assert from "node:assert/strict";
import { BackupError } from "../core/errors.ts";
import type { Entry } from "../core/model.ts";
import { DatabaseError } from "../postgres/database_error.ts";
import { compareModels } from "./compare_models.ts";
import { Failures } from "./failures.ts";
import { rightSteps } from "./statements.ts";

function entry(key: string, more: Partial<Entry> = {}): Entry {
  const statements = { create: [], drop: [], owner: [], comment: [], label: [], acl: [] };
  return {
    key,
    kind: "table",
    section: "pre-data",
    schema: "public",
    name: key,
    identity: `table ${key}`,
    owner: null,
    statements,
    dependsOn: [],
    ...more,
  };
}

function refusal(sqlState: string): DatabaseError {
  return new DatabaseError("run a statement", {
    sqlState,
    severity: "ERROR",
    serverMessage: "no",
  });
}

const fails = (error: unknown) => () => Promise.reject(error);

Deno.test("Failures leaves out what needs a failed definition, and what needs that", async () => {
  const failures = new Failures({ goOn: true });
  assert.equal(await failures.makes(entry("a"), fails(refusal("42601"))), false);
  assert.equal(failures.blocks(entry("b", { dependsOn: ["a"] })), true);
  assert.equal(failures.blocks(entry("c", { dependsOn: ["b"] })), true);
  assert.equal(failures.blocks(entry("d")), false);
  assert.deepEqual(failures.failed.map((each) => [each.identity, each.sqlState]), [
    ["table a", "42601"],
  ]);
  assert.deepEqual(failures.skipped, [
    { identity: "table b", reason: "it needs table a, which failed" },
    { identity: "table c", reason: "it needs table a, which failed" },
  ]);
});

Deno.test("Failures lets rows go in whose referenced rows failed", async () => {
  const failures = new Failures({ goOn: true });
  const rows = entry("parents", { kind: "table-data" });
  await failures.makes(rows, fails(refusal("23514")));
  await failures.makes(rows, fails(refusal("23514")));
  assert.equal(failures.failed.length, 1, "one line for all parts of a table");
  const others = entry("children", { kind: "table-data", dependsOn: ["parents"] });
  assert.equal(failures.blocks(others), false);
});

Deno.test("Failures throws what will not be better for the next object", async () => {
  const failures = new Failures({ goOn: true });
  const errors = [
    new BackupError("cancelled", "stop"),
    new TypeError("a defect"),
    ...["08006", "57P01", "57014", "53100", "53300"].map(refusal),
  ];
  for (const error of errors) await assert.rejects(failures.makes(entry("a"), fails(error)), error);
  assert.deepEqual(failures.failed, []);
});

Deno.test("Failures throws everything where nothing may be left half done", async () => {
  const failures = new Failures({ goOn: false });
  await assert.rejects(failures.attempt("table a", fails(refusal("42601"))), /SQLSTATE 42601/);
});

Deno.test("Failures goes step by step through what failed as a whole", async () => {
  const failures = new Failures({ goOn: true });
  const done: string[] = [];
  const run = (step: string) => {
    if (step.includes("bad")) return Promise.reject(refusal("42704"));
    done.push(step);
    return Promise.resolve();
  };
  await failures.attemptInSteps("table a", {
    whole: "one bad two",
    steps: ["one", "bad", "two"],
    run,
  });
  assert.deepEqual(done, ["one", "two"]);
  assert.equal(failures.failed.length, 1);
});

Deno.test("rightSteps() keeps each right behind its role", () => {
  const acl = ["REVOKE ALL ON t FROM PUBLIC", 'SET ROLE "a"', "GRANT ALL ON t TO b", "RESET ROLE"];
  const table = entry("t");
  table.statements.acl = acl;
  assert.deepEqual(rightSteps(table).map((step) => step.statements.acl), [
    ["REVOKE ALL ON t FROM PUBLIC"],
    ['SET ROLE "a"', "GRANT ALL ON t TO b", "RESET ROLE"],
  ]);
});

Deno.test("compareModels() takes rights by another grantor as equal only where the server chooses", () => {
  const expected = entry("t");
  expected.statements.acl = ["GRANT ALL ON t TO b"];
  const found = { ...expected, statements: { ...expected.statements } };
  found.statements.acl = ['SET ROLE "a"', "GRANT ALL ON t TO b", "RESET ROLE"];
  const options = { sameMajor: true, leftOut: [] };
  assert.equal(compareModels([expected], [found], options).differences.length, 1);
  const lenient = compareModels([expected], [found], { ...options, otherGrantors: true });
  assert.deepEqual([lenient.differences.length, lenient.remarks.length], [0, 1]);
  found.statements.acl = ["GRANT ALL ON t TO c"];
  const other = compareModels([expected], [found], { ...options, otherGrantors: true });
  assert.equal(other.differences.length, 1);
});
