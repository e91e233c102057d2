import assert from "node:assert/strict";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { type Definitions, definitionsWithin } from "./definitions_memory.ts";
import { threadsWithin } from "./threads_within.ts";

const of = (megabytes: number) => ({ count: () => megabytes });

Deno.test("definitionsWithin() gives what they take, up to what fits", () => {
  assert.equal(definitionsWithin(of(500), { backup: 620_000 }), 310);
  assert.equal(definitionsWithin(of(500), { restore: 200_000, backup: 100_000 }), 270);
  assert.equal(definitionsWithin(of(1), { restore: 1000 }), 2);
});

Deno.test("definitionsWithin() refuses more, and says what would do", () => {
  const refused = (definitions: Definitions) => {
    try {
      definitionsWithin(of(500), definitions);
    } catch (error) {
      assert.ok(error instanceof BackupError && error.code === "over_budget");
      return `${error.message}. ${error.hint}`;
    }
    return null;
  };
  const backup = refused({ backup: 621_000 })!;
  assert.match(backup, /back up .* 621000 objects within 500 MB.*--memory 501/);
  assert.match(backup, /--include/);
  assert.match(refused({ restore: 400_000 })!, /restore .* need about 631 MB.*--memory 631\.$/);
});

Deno.test("what definitions take leaves fewer threads", () => {
  const { jobs, note } = threadsWithin(of(500), { kind: "copy", jobs: 4, taken: 200 });
  assert.equal(jobs, 1);
  assert.match(note!, /--memory 690 for all/);
});
