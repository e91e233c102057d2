import assert from "node:assert/strict";
import { BackupError } from "../../core/errors.ts";
import {
  type Assessed,
  doubtsOf,
  inWords,
  requestForLost,
  unfinishedElsewhere,
  unknownDatabase,
  withRequest,
} from "./database_words.ts";

const SOUND: Assessed = {
  ...{
    condition: "sound",
    scope: null,
    backupId: "backup_2",
    backupAt: "2026-01-02T00:00:00.000Z",
  },
  ...{ findings: [], remarks: [], lostTables: [], remarkedTables: [], tablesCompared: 9 },
  ...{ fuller: null, unfinished: null, command: "deno task restore" },
};

const FULLER = {
  ...{ backupId: "backup_1", createdAt: "2026-01-01T00:00:00.000Z", rows: 90, rowsSince: 1 },
  lost: ["a has no rows any more (the backup has 80)", "b is gone"],
};

Deno.test("inWords() says the condition with its first reason, and what else was seen of a sound database", () => {
  assert.equal(inWords(SOUND), "sound: 9 tables looked at beside backup backup_2");
  const damaged: Assessed = {
    ...SOUND,
    condition: "damaged",
    findings: ["a is gone", "b is gone"],
  };
  assert.equal(inWords(damaged), "damaged beside backup backup_2: a is gone (and 1 more)");
  assert.equal(
    inWords({ ...SOUND, remarkedTables: ["public.a"], fuller: FULLER }),
    "sound: 9 tables looked at beside backup backup_2, 1 of them gone or without rows, which is not held " +
      "for damage; but beside the earlier backup backup_1 a has no rows any more (the backup has 80) (and 1 more)",
  );
});

Deno.test("doubtsOf() tells what only people can judge, each with the request that restores it", () => {
  assert.deepEqual(doubtsOf(SOUND), []);
  const [earlier] = doubtsOf({ ...SOUND, fuller: FULLER });
  assert.match(
    earlier!,
    /^backup backup_1 of 2026-01-01\S+ holds 90 rows, .* the 1 of backup_2, and beside it a has/,
  );
  assert.match(earlier!, /'\{"backupId":"backup_1","type":"database"\}'$/);
  assert.doesNotMatch(doubtsOf({ ...SOUND, fuller: { ...FULLER, lost: [] } })[0]!, /beside it/);
  const remarks = [1, 2, 3, 4, 5, 6, 7].map((number) => `t${number} is gone`);
  assert.deepEqual(
    doubtsOf({ ...SOUND, remarks }),
    [],
    "no table of the project's own is among them",
  );
  const [told] = doubtsOf({ ...SOUND, remarks, remarkedTables: ["public.t1", "public.t2"] });
  assert.match(
    told!,
    /: t1 is gone; .*; t5 is gone; and 2 more\. If it is a loss, restore these tables alone: /,
  );
  assert.match(told!, /"tables":\["public.t1","public.t2"\],"onlyLost":true\}'$/);
});

Deno.test("requestForLost() names fifty tables and says when there are more", () => {
  const names = Array.from({ length: 51 }, (_, at) => `public.t${at}`);
  assert.match(requestForLost("b", names.slice(1)), /^these tables alone: .*"public.t50"\]/);
  const request = requestForLost("b", names);
  assert.match(request, /^the first 50 of these 51 tables: .*"public.t49"\]/);
});

Deno.test("unknownDatabase() and withRequest() say what can be done", () => {
  const unknown = unknownDatabase({
    ...SOUND,
    condition: "unknown",
    findings: ["a is not known: lock"],
  });
  assert.equal(unknown.code, "database_error");
  assert.match(unknown.message, /^Cannot assess .* backup_2: .*: a is not known: lock$/);
  assert.match(unknown.hint!, /with force/);
  const error = new BackupError("target_unfit", "Cannot restore", {
    hint: "Look.",
    details: { a: 1 },
  });
  const found: Assessed = { ...SOUND, lostTables: ["public.a"] };
  const { code, message, hint, details } = withRequest(error, found);
  assert.deepEqual([code, message, details], ["target_unfit", "Cannot restore", {
    ...{ a: 1, lostTables: ["public.a"] },
  }]);
  assert.match(
    hint!,
    /^Look\. To restore these tables alone: .*"onlyLost":true\}'; with "dryRun": true/,
  );
});

Deno.test("a restore that is not complete is told with the SQL that takes its trace away", () => {
  const unfinished = {
    ...{ jobId: "restore_1", backupId: "backup_1", since: "2026-01-01T00:00:00.000Z" },
    ...{ found: "restore restore_1 is not complete", goesOn: false, forget: "delete from marks" },
    choice: {},
  };
  const half: Assessed = { ...SOUND, condition: "damaged", findings: ["it is half"], unfinished };
  assert.deepEqual(doubtsOf(half), [
    "if the database is well although restore restore_1 is not complete, say so: delete from marks;",
  ]);
  const error = unfinishedElsewhere(half);
  assert.equal(error.code, "restore_incomplete");
  assert.match(error.message, /sound beside backup backup_2: restore restore_1 is not complete$/);
  assert.match(
    error.hint!,
    /"backupId":"backup_1".* or backup_2, .*: deno task restore; .*: delete from marks;$/,
  );
});
