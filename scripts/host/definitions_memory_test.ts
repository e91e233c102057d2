import assert from "node:assert/strict";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { type Definitions, definitionsWithin } from "./definitions_memory.ts";
import { threadsWithin } from "./threads_within.ts";

const of = (megabytes: number) => ({ count: () => megabytes });

Deno.test("definitionsWithin() gives what they take, up to what fits", () => {
  assert.equal(definitionsWithin(of(500), { saved: 600_000 }), 290);
  assert.equal(definitionsWithin(of(500), { saved: 20_000 }), 37);
  assert.equal(definitionsWithin(of(500), { restored: 347_000 }), 310);
  assert.equal(definitionsWithin(of(1), { saved: 1000, restored: 1000, target: 1000 }), 0);
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
  const saved = refused({ saved: 660_000 })!;
  assert.match(saved, /back up within 500 MB: .* 660000 objects .*--memory 501/);
  assert.match(saved, /--exclude/);
  const restored = refused({ restored: 140_000, target: 200_000 })!;
  assert.match(
    restored,
    /restore within 500 MB: .* 340000 objects need about 623 MB.*--memory 623\.$/,
  );
});

Deno.test("what definitions take leaves fewer threads", () => {
  const { jobs, note } = threadsWithin(of(500), { kind: "copy", asked: 4, taken: 200 });
  assert.equal(jobs, 1);
  assert.match(note!, /--memory 690 for all/);
});
