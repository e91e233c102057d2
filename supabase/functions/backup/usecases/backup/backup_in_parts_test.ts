import assert from "node:assert/strict";
import { BackupError } from "../../core/errors.ts";
import type { Lease } from "../../core/part.ts";
import type { PartContext } from "../../jobs/job_definition.ts";
import { backupInParts, type BackupInPartsOptions } from "./backup_in_parts.ts";

type Tries = Pick<Lease, "attempt" | "previous">;

/** Reads the definitions of two tables as a worker would that cannot reach the database. */
function readDefinitions(tries: Tries): Promise<unknown> {
  return run({ name: "reading-definitions", ...tries });
}

/** Copies a single page as such a worker would. */
function copyPage(tries: Tries): Promise<unknown> {
  const table = { accessMethod: "heap", tableBytes: 8192, sqlName: "public.films" };
  const ranges = [{ entry: "a", pages: { from: 0, to: 1 } }];
  const payload = { order: [0], ranges, tables: { a: { table, data: {} } }, limits: {} };
  return run({ name: "copying-rows", ...tries, payload } as unknown as Tries & { name: string });
}

async function run(part: Tries & { name: string }): Promise<unknown> {
  const backup = backupInParts({
    plan: { limits: {} },
    repository: { rememberBackup: () => Promise.resolve(null) },
    holder: { check: () => Promise.resolve([]) },
    connect: () => Promise.reject(new BackupError("database_unreachable", "Cannot connect")),
  } as unknown as BackupInPartsOptions);
  const opened = { held: { id: "1", locked: [10, 20] }, dump: {} };
  const context = {
    signal: new AbortController().signal,
    results: async function* () {
      yield await Promise.resolve({ result: opened });
    },
  } as unknown as PartContext;
  const lease = { round: 1, ...part } as Lease;
  return await backup.run(lease, context).catch((error) => error);
}

Deno.test("backupInParts() gives definitions up that end worker after worker, and says what to do", async () => {
  const error = await readDefinitions({ attempt: 6, previous: "interrupted" });
  assert.ok(error instanceof BackupError);
  assert.equal(error.code, "over_budget");
  assert.match(error.message, /^Cannot read the definitions of 2 tables: it was tried 5 times/);
  assert.match(error.hint ?? "", /task backup/);
});

Deno.test("backupInParts() gives up what cuts definitions no further when it ends worker after worker", async () => {
  for (const name of ["reading-some-definitions", "ordering-definitions", "storing-definitions"]) {
    const error = await run({ name, attempt: 6, previous: "interrupted" }) as BackupError;
    assert.equal(error.code, "over_budget", error.message);
    assert.match(error.message, /^Cannot read the definitions in parts: it was tried 5 times/);
    assert.match(error.hint ?? "", /task backup/);
  }
});

Deno.test("backupInParts() reads definitions again after fewer losses, and after other failures", async () => {
  for (const [attempt, previous] of [[5, "interrupted"], [6, "database_unreachable"]] as const) {
    const error = await readDefinitions({ attempt, previous });
    assert.equal((error as BackupError).code, "database_unreachable");
  }
});

Deno.test("backupInParts() gives rows up that nothing can cut and that end worker after worker, by name", async () => {
  const error = await copyPage({ attempt: 6, previous: "interrupted" }) as BackupError;
  assert.equal(error.code, "over_budget", error.message);
  assert.match(
    error.message,
    /^Cannot copy rows of public.films that cannot be cut .*: it was tried 5 times/,
  );
  assert.match(error.hint ?? "", /task backup/);
  const earlier = await copyPage({ attempt: 5, previous: "interrupted" }) as BackupError;
  assert.equal(earlier.code, "database_unreachable", earlier.message);
});
