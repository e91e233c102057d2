import assert from "node:assert/strict";
import { BackupError } from "../../core/errors.ts";
import type { Lease } from "../../core/part.ts";
import type { PartContext } from "../../jobs/job_definition.ts";
import { backupInParts, type BackupInPartsOptions } from "./backup_in_parts.ts";

/** Reads the definitions of two tables as a worker would that cannot reach the database. */
async function readDefinitions(tries: Pick<Lease, "attempt" | "previous">): Promise<unknown> {
  const backup = backupInParts({
    plan: { limits: {} },
    connect: () => Promise.reject(new BackupError("database_unreachable", "Cannot connect")),
  } as unknown as BackupInPartsOptions);
  const opened = { held: { id: "1", locked: [10, 20] }, dump: {} };
  const context = {
    signal: new AbortController().signal,
    results: async function* () {
      yield await Promise.resolve({ result: opened });
    },
  } as unknown as PartContext;
  const lease = { name: "reading-definitions", round: 1, ...tries } as Lease;
  return await backup.run(lease, context).catch((error) => error);
}

Deno.test("backupInParts() gives definitions up that end worker after worker, and says what to do", async () => {
  const error = await readDefinitions({ attempt: 6, previous: "interrupted" });
  assert.ok(error instanceof BackupError);
  assert.equal(error.code, "over_budget");
  assert.match(error.message, /^Cannot read the definitions of 2 tables: 5 workers/);
  assert.match(error.hint ?? "", /task backup/);
});

Deno.test("backupInParts() reads definitions again after fewer losses, and after other failures", async () => {
  for (const [attempt, previous] of [[5, "interrupted"], [6, "database_unreachable"]] as const) {
    const error = await readDefinitions({ attempt, previous });
    assert.equal((error as BackupError).code, "database_unreachable");
  }
});
