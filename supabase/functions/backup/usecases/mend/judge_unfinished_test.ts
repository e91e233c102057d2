import assert from "node:assert/strict";
import type { RestoreTrace } from "../../postgres/restore_traces.ts";
import type { JudgedDatabase } from "./judge_live.ts";
import { judgeUnfinished } from "./judge_unfinished.ts";

const TRACE: RestoreTrace = {
  ...{ jobId: "restore_1", backupId: "backup_1", since: "2026-01-02T00:00:00.000Z", choice: {} },
  ...{ parts: 7, partsDone: 3 },
};

const SOUND: JudgedDatabase = {
  ...{ condition: "sound", scope: null, findings: [], remarks: ["a queue is empty"] },
  ...{ lostTables: [], remarkedTables: [] },
};

const judge = (
  judged: Partial<JudgedDatabase>,
  trace: Partial<RestoreTrace> = {},
  at = "backup_1",
) => judgeUnfinished({ ...SOUND, ...judged }, { trace: { ...TRACE, ...trace }, backupId: at });

Deno.test("judgeUnfinished() calls damaged what looks sound, says which restore it is, and that it goes on", () => {
  const { unfinished, findings, ...rest } = judge({});
  assert.deepEqual([rest.condition, rest.scope, rest.remarks], [
    ...["damaged", "database", SOUND.remarks],
  ]);
  assert.equal(
    findings[0],
    "restore restore_1 of backup_1 began at 2026-01-02T00:00:00.000Z and is not complete: 3 of 7 parts of " +
      "rows are in place",
  );
  assert.equal(unfinished.goesOn, true);
  assert.match(unfinished.forget, /^delete from backup_internal\.\S+ where job_id = 'restore_1'$/);
  const empty = judge({ condition: "empty", scope: "database", findings: ["a is gone"] });
  assert.deepEqual([empty.condition, empty.findings[1]], ["empty", "a is gone"]);
});

Deno.test("judgeUnfinished() keeps to the tables that the restore was about", () => {
  const tables = ["public.a", "public.b"];
  const some = judge({}, { choice: { tables, onlyLost: true } });
  assert.deepEqual([some.scope, some.lostTables], ["tables", tables]);
  assert.deepEqual(some.unfinished.choice, { tables, onlyLost: true });
  assert.match(some.findings[0]!, /of backup_1 \(2 tables\) began/);
  const known = judge({ lostTables: ["public.a"] }, { choice: { tables, onlyLost: true } });
  assert.deepEqual(known.lostTables, ["public.a"]);
  assert.match(judge({}, { parts: null }).findings[0]!, /how far it came is not known$/);
});

Deno.test("judgeUnfinished() beside another backup restores nothing for the trace's sake", () => {
  const other = judge({}, {}, "backup_2");
  assert.deepEqual([other.condition, other.scope, other.unfinished.goesOn], [
    ...["damaged", null, false],
  ]);
  const down = judge({ condition: "unreachable", findings: ["no connection"] });
  assert.deepEqual([down.condition, down.findings], ["unreachable", ["no connection"]]);
});
