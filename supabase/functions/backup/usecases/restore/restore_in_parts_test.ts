import assert from "node:assert/strict";
import { BackupError } from "../../core/errors.ts";
import type { Lease } from "../../core/part.ts";
import type { PartContext } from "../../jobs/job_definition.ts";
import { restoreInParts, type RestoreInPartsOptions } from "./restore_in_parts.ts";

/** Does a part as a worker would whose repository does not answer. */
async function run(
  lease: Pick<Lease, "name" | "attempt" | "previous"> & { payload?: Lease["payload"] },
): Promise<BackupError> {
  const gone = () => Promise.reject(new BackupError("storage_unreachable", "Cannot read"));
  const restore = restoreInParts({
    jobId: "restore_1",
    backupId: "backup_1",
    connect: gone,
    repository: { readBackup: gone, readManifest: gone, readLines: gone },
    request: {},
    commandLine: "deno task restore --backup backup_1",
  } as unknown as RestoreInPartsOptions);
  const context = {
    signal: new AbortController().signal,
    results: async function* () {
      yield await Promise.resolve({ result: { entries: [] } });
    },
  } as unknown as PartContext;
  return await restore.run({ round: 1, ...lease } as Lease, context).then(
    () => assert.fail("it was done"),
    (error) => error,
  );
}

Deno.test("restoreInParts() gives up planning that ends worker after worker, and says that nothing was changed", async () => {
  for (const name of ["planning", "reading-backup", "reading-target"]) {
    const payload = name === "planning" ? null : { backupId: "backup_1" };
    const error = await run({ name, attempt: 6, previous: "interrupted", payload });
    assert.equal(error.code, "over_budget");
    assert.match(error.message, /^Cannot plan the restore of backup_1: it was tried 5 times/);
    assert.match(error.hint ?? "", /^Nothing was changed.*deno task restore --backup backup_1$/);
  }
});

Deno.test("restoreInParts() gives up comparing that ends worker after worker, and says what is restored", async () => {
  const error = await run({ name: "comparing-definitions", attempt: 6, previous: "interrupted" });
  assert.equal(error.code, "over_budget");
  assert.match(
    error.message,
    /^Cannot compare the restore of backup_1 with the backup: it was tried 5 times/,
  );
  assert.match(error.hint ?? "", /^Everything was restored and its rows were compared\./);
});

Deno.test("restoreInParts() plans and compares again after fewer losses, and after other failures", async () => {
  for (const name of ["planning", "comparing-definitions"]) {
    for (const [attempt, previous] of [[5, "interrupted"], [6, "storage_unreachable"]] as const) {
      assert.equal((await run({ name, attempt, previous })).code, "storage_unreachable");
    }
  }
});
