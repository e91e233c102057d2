/**
 * The short form of `deno task soak cost`: what a backup and a restore in parts ask of server and storage
 * grows with the size of the database and no faster. Parts are small, so that a few megabytes are many.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type Cost, type CostBySize, growthOf } from "../../scripts/soak/cost.ts";
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { newJobId } from "../../supabase/functions/backup/core/ids.ts";
import { sessionHolder } from "../../supabase/functions/backup/dump/mod.ts";
import type { JobDefinition } from "../../supabase/functions/backup/jobs/job_definition.ts";
import { runInProcess } from "../../supabase/functions/backup/jobs/run_in_process.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { createRepository } from "../../supabase/functions/backup/repository/mod.ts";
import { memoryStorage } from "../../supabase/functions/backup/storage/memory.ts";
import type { Storage } from "../../supabase/functions/backup/storage/storage.ts";
import { backupPlan } from "../../supabase/functions/backup/usecases/backup/backup_database.ts";
import { backupInParts } from "../../supabase/functions/backup/usecases/backup/backup_in_parts.ts";
import { restoreInParts } from "../../supabase/functions/backup/usecases/restore/restore_in_parts.ts";
import { DUMP_OF_PUBLIC } from "../support/kept_backup.ts";
import { runSql, temporaryDatabase } from "../support/temporary_database.ts";

const PART_BYTES = 80_000;
const ROW_BYTES = 1000;

/** Counts all that goes through. */
class Meter {
  calls = { server: 0, storage: 0 };
  storedBytes = 0;

  async connect(url: string): Promise<Session> {
    const session = await connect({ url });
    return new Proxy(session, {
      get: (inner, name) => {
        const value = Reflect.get(inner, name, inner);
        if (typeof value !== "function") return value;
        return (...given: unknown[]) => {
          this.calls.server++;
          return value.apply(inner, given);
        };
      },
    });
  }

  storage(inner: Storage): Storage {
    return new Proxy(inner, {
      get: (storage, name) => {
        const value = Reflect.get(storage, name, storage);
        if (typeof value !== "function") return value;
        return (...given: unknown[]) => {
          this.calls.storage++;
          if (name === "put") this.storedBytes += (given[1] as Uint8Array).length;
          return value.apply(storage, given);
        };
      },
    });
  }

  /** The calls since the last look. What takes time is for the long form. */
  cost(): Cost {
    const { server, storage } = this.calls;
    this.calls = { server: 0, storage: 0 };
    const unmeasured = { seconds: 0, cpuSeconds: 0, invocations: 0, overLimit: 0 };
    return { ...unmeasured, serverCalls: server, storageCalls: storage };
  }
}

async function run(kind: "backup" | "restore", define: (jobId: string) => JobDefinition) {
  const jobId = newJobId(kind, new Date());
  const job = { jobId, kind, type: "database", backupId: null } as const;
  await runInProcess(define(jobId), {
    job: { ...job, reason: null, createdBy: null },
    ...{ clock: systemClock, concurrency: 1 },
  });
}

/** Saves and restores a table of so many rows that nothing compresses. */
async function measure(rows: number): Promise<CostBySize> {
  await using source = await temporaryDatabase("t_scale_source");
  await using target = await temporaryDatabase("t_scale_target");
  await runSql(
    source.url,
    `create table filled as select i, (
         select string_agg(sha256((i * 100 + j)::text::bytea), '') from generate_series(1, 30) j) as body
       from generate_series(1, ${rows}) i;
     alter table filled add primary key (i);
     analyze`,
  );
  const meter = new Meter();
  const storage = meter.storage(memoryStorage());
  const repository = await createRepository({ storage, key: null });
  const open = () => meter.connect(source.url);
  meter.cost();
  await run("backup", (backupId) =>
    backupInParts({
      plan: backupPlan({
        ...{ backupId, origin: "manual" },
        limits: { partBytes: PART_BYTES, maxPartBytes: 4 * PART_BYTES },
      }, { writtenBy: "test" }),
      dump: () => Promise.resolve(DUMP_OF_PUBLIC),
      ...{ connect: open, repository, clock: systemClock },
      // It looks for others by the clock.
      holder: sessionHolder({ connect: () => connect({ url: source.url }) }),
    }));
  const backup = meter.cost();
  await run("restore", (jobId) =>
    restoreInParts({
      ...{ jobId, repository, backupId: "latest", request: {}, writtenBy: "test" },
      ...{ connect: () => meter.connect(target.url), clock: systemClock, pollMs: 10 },
      limits: { entries: 200, partBytes: 2 * PART_BYTES, longBytes: 1e9 },
    }));
  const restore = meter.cost();
  return {
    databaseBytes: rows * ROW_BYTES,
    rawBytes: rows * ROW_BYTES,
    storedBytes: meter.storedBytes,
    ...{ peakMemoryBytes: 0, peakResidentBytes: 0, backup, restore },
  };
}

/** Rows that make so many chunks that a backup lists them to see that all are there; few are asked for one by one. */
const ROWS = [5760, 11_520, 23_040];

// CPU seconds are for the long form: in a few seconds of them what else the machine does is more than 15 percent.
Deno.test("a further megabyte costs no more calls to server and storage and no more bytes in a larger database", async () => {
  const sizes: CostBySize[] = [];
  for (const rows of ROWS) sizes.push(await measure(rows));
  const growth = growthOf(sizes).filter(({ figure }) => !figure.startsWith("CPU"));
  assert.equal(growth.length, 5);
  for (const { figure, before, after, within } of growth) {
    assert.ok(before > 0 && after > 0, figure);
    assert.ok(within, `${figure}: ${before} a gigabyte, then ${after}`);
  }
});
