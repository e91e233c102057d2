/**
 * Tables that the settings call critical are read and written before others, however small they are and
 * whatever they are called.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readEnvironment } from "../../supabase/functions/backup/config.ts";
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { newJob } from "../../supabase/functions/backup/core/job.ts";
import type { DonePart, Lease, PartOutcome } from "../../supabase/functions/backup/core/part.ts";
import { createDeps } from "../../supabase/functions/backup/create_deps.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { CopyRowsPayload } from "../../supabase/functions/backup/usecases/backup/copy_rows.ts";
import { defineBackup } from "../../supabase/functions/backup/usecases/backup/start_backup.ts";
import { post, startServiceUnderTest } from "../support/service.ts";

const TABLES = `
  create table public.a_large as select i, repeat('x', 1000) as t from generate_series(1, 12000) i;
  create table public.b_small as select 1 as i;
  create table public.z_critical as select 2 as i;
  analyze`;

Deno.test("critical tables are backed up and restored first", async () => {
  const test = await startServiceUnderTest({ BACKUP_CRITICAL_TABLES: "public.z_*" });
  try {
    const session = await connect({ url: test.project.databaseUrl });
    await session.execute(TABLES);
    await session.close();
    assert.equal((await post(test.service, "init")).status, 200);

    const [first] = await copiedTables(test.variables);
    assert.ok(first?.includes('"public"."z_critical"'), JSON.stringify(first));

    assert.equal((await post(test.service, "backup-database&wait=60")).status, 200);
    const { status, body } = await post(test.service, "restore&wait=60", {
      ...{ backupId: "latest", type: "database", mode: "over", dryRun: true },
    });
    assert.equal(status, 200, JSON.stringify(body));
    assert.equal(Object.keys(body.data.result)[0], "summary");
    assert.match(
      body.data.result.summary[0],
      /^Restores 12,002 rows .* of \d+ tables from backup_/,
    );
    const { steps } = body.data.result.plan;
    const load = steps.find(({ name }: { name: string }) => name === "load").objects;
    assert.match(load[0], /z_critical/);
    assert.match(load[1], /a_large/, "then the largest");
  } finally {
    await test.stop();
  }
});

/** Names of the tables whose rows each part of a backup would copy, in the order of the parts. */
async function copiedTables(variables: Record<string, string | undefined>): Promise<string[][]> {
  const deps = createDeps({ environment: readEnvironment((name) => variables[name] || undefined) });
  const jobId = "backup_20260101T000000000Z_0000000000";
  const start = { jobId, kind: "backup", type: "database", backupId: jobId } as const;
  const job = newJob({ ...start, reason: null, createdBy: null }, systemClock.now());
  const definition = await defineBackup(deps, job, {});
  const done: DonePart[] = [];
  const results = async function* (name: string) {
    yield* await Promise.resolve(done.filter((part) => part.name === name));
  };
  const context = { signal: new AbortController().signal, onProgress() {}, results };
  const run = async (name: string): Promise<PartOutcome> => {
    const lease = { jobId, part: done.length, round: 1, step: done.length, name, payload: null };
    const outcome = await definition.run({ ...lease, bytes: 0, attempt: 1 } as Lease, context);
    done.push({ ...lease, result: outcome.result });
    return outcome;
  };
  try {
    await run("locking-tables");
    const { add = [] } = await run("listing-tables");
    return add.filter(({ name }) => name === "copying-rows").map(({ payload }) =>
      Object.values((payload as unknown as CopyRowsPayload).tables)
        .flatMap(({ table }) => table === null ? [] : [table.sqlName])
    );
  } finally {
    await definition.end?.("cancelled", context);
    await deps.idle();
    await deps.state.close();
  }
}
