import assert from "node:assert/strict";
import { LEFT_TO_USERS } from "../../usecases/restore/plan_to_fill.ts";
import { leftToUsers, requestOf } from "./database_steps.ts";

const UNFINISHED = {
  ...{ jobId: "restore_1", backupId: "backup_1", since: "2026-01-01T00:00:00.000Z" },
  ...{ found: "half", goesOn: true, forget: "delete" },
};

Deno.test("requestOf() completes a restore that was broken off with what that one had chosen", () => {
  const choice = { tables: ["public.a"], onlyLost: true };
  const lostTables = ["public.a", "public.b"];
  const unfinished = { ...UNFINISHED, choice };
  assert.deepEqual(requestOf({ scope: "tables", lostTables, unfinished }), {
    ...{ ...choice, completes: "restore_1" },
  });
  assert.deepEqual(
    requestOf({ scope: "database", lostTables, unfinished: { ...UNFINISHED, choice: {} } }),
    { completes: "restore_1" },
  );
});

Deno.test("requestOf() is about lost tables or all of the backup where no restore can be completed", () => {
  const lostTables = ["public.a"];
  const unfinished = { ...UNFINISHED, goesOn: false, choice: {} };
  const tables = { tables: lostTables, onlyLost: true };
  assert.deepEqual(requestOf({ scope: "tables", lostTables, unfinished }), tables);
  assert.deepEqual(requestOf({ scope: "tables", lostTables, unfinished: null }), tables);
  assert.deepEqual(requestOf({ scope: "database", lostTables, unfinished: null }), {});
});

Deno.test("leftToUsers() names tables that a restore left as they are, and nothing else that it left out", () => {
  const left = { identity: "table-data a", reason: LEFT_TO_USERS };
  const [line, ...more] = leftToUsers([left, { identity: "role b", reason: "the target has it" }]);
  assert.match(line!, /others have written to it since: table-data a$/);
  assert.deepEqual(more, []);
  assert.deepEqual(leftToUsers([{ identity: "role b", reason: "the target has it" }]), []);
});
