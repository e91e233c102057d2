/**
 * Parts in the service's tables, shared by workers of any number and place.
 *
 * Every decision about a job is made under the lock of its row in `job_runs`, so there is never a question
 * of who was first; heartbeats touch the part's row alone. Only the server's clock counts. One class beyond
 * the usual length: each method is one rule of the contract, and they share the same few statements.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { conflictWith, type Job, type JobStatus, outcomeFields, toJobError } from "../core/job.ts";
import {
  type DonePart,
  END_PART,
  END_STEP,
  type JobBounds,
  type JobEnd,
  type Json,
  type Lease,
  type NewPart,
  type PartFailure,
  type PartOutcome,
  type PartsOf,
  type Reported,
  type StartedJob,
  withPayload,
} from "../core/part.ts";
import { cancelledError, lostTooOften, nothingLeft } from "../core/part_errors.ts";
import type { Progress } from "../core/progress.ts";
import { JOB_FORM } from "../core/release.ts";
import type { Sql, StateDatabase } from "./database.ts";
import {
  failInterrupted,
  findRunning,
  insertRunning,
  TABLES,
  toJob,
  writeEnd,
  writeProgress,
} from "./job_rows.ts";
import {
  insertParts,
  type JobRun,
  type LeasedPart,
  leasedParts,
  lockRun,
  readProgress,
  type ServerNow,
  toAsciiJson,
  toPrevious,
} from "./part_rows.ts";

/** Held while a job begins: two workers cannot both find that none runs. */
const BEGIN_LOCK = "7277816997830722";

/** Tries of an end part: what it frees is found otherwise in time. */
const END_ATTEMPTS = 5;

/** Between two writings of progress into the row that users see. */
const PUBLISH_MS = 2000;

/** Done parts that are read at a time. */
const PAGE = 100;

/** Above all numbers of parts. */
const MOST_PARTS = 2 ** 31 - 1;

/** What tests may set. */
export interface PartTablesOptions {
  /** Milliseconds that are added to the server's clock. */
  aheadMs?: () => number;
  /** That of the release. @default JOB_FORM */
  form?: number;
}

/** See the module; the contract is `jobs/part_store.ts`. */
export class PartTables {
  readonly #database: StateDatabase;
  readonly #now: ServerNow;
  readonly #form: number;
  readonly #publishedAt = new Map<string, number>();

  constructor(database: StateDatabase, options: PartTablesOptions = {}) {
    const { aheadMs = () => 0, form = JOB_FORM } = options;
    this.#database = database;
    this.#form = form;
    this.#now = (sql) =>
      sql`(pg_catalog.clock_timestamp() + make_interval(secs => ${aheadMs() / 1000}))`;
  }

  async begin(
    job: Job,
    { parts, bounds, request }: { parts: readonly NewPart[]; bounds: JobBounds; request: Json },
  ): Promise<void> {
    await this.#database.transaction("record a job", async (sql) => {
      await sql`select pg_catalog.pg_advisory_xact_lock(${BEGIN_LOCK}::bigint)`;
      await failInterrupted(sql);
      const running = await findRunning(sql, job);
      if (running !== null) throw conflictWith(running);
      // What is due is told from starts and ends: these are by the server's clock, and so are those.
      const [time] = await sql`select now() as now`;
      job.startedAt = time!.now.toISOString();
      if (!await insertRunning(sql, job)) throw takenBack(job);
      await sql`
        insert into backup_internal.job_runs
          (job_id, kind, request, first_parts, max_workers, max_attempts, max_rounds, priority,
           form, touched_at)
        values (${job.jobId}, ${job.kind}, ${toAsciiJson(request)}, ${toAsciiJson(parts)},
          ${bounds.maxWorkers}, ${bounds.maxAttempts}, ${bounds.maxRounds}, ${bounds.priority ?? 0},
          ${this.#form}, ${this.#now(sql)})`;
      await insertParts(sql, { jobId: job.jobId, round: 1 }, parts);
    });
  }

  async find(jobId: string): Promise<StartedJob | null> {
    return await this.#database.run("read a job", async (sql) => {
      const [run] = await sql`
        select kind, request from backup_internal.job_runs where job_id = ${jobId}`;
      if (run === undefined) return null;
      const [row] = await sql`
        select * from ${sql.unsafe(TABLES[run.kind as Job["kind"]])} where job_id = ${jobId}`;
      if (row === undefined) return null;
      return { job: toJob(row, run.kind), request: JSON.parse(run.request) };
    });
  }

  async claim(options: {
    worker: string;
    leaseMs: number;
    jobId?: string;
  }): Promise<Lease | null> {
    for (const jobId of await this.#jobIds(options.jobId)) {
      const lease = await this.#database.transaction("take a part", async (sql) => {
        const run = await lockRun(sql, jobId, this.#now);
        if (run === null) return null;
        return await this.#claimOf(sql, run, options);
      });
      if (lease !== null) return lease;
    }
    return null;
  }

  async renew(
    lease: Lease,
    { leaseMs, bytesDone, phase }: { leaseMs: number; bytesDone?: number; phase?: string },
  ): Promise<{ lost: boolean; cancel: boolean }> {
    return await this.#database.run("prolong a lease", async (sql) => {
      const now = this.#now(sql);
      const [row] = await sql`
        update backup_internal.job_parts p set
          lease_until = ${now} + make_interval(secs => ${leaseMs / 1000}),
          bytes_done = coalesce(${bytesDone === undefined ? null : Math.round(bytesDone)}::bigint,
            p.bytes_done)
          from backup_internal.job_runs j
         where j.job_id = p.job_id and p.job_id = ${lease.jobId} and p.part = ${lease.part}
           and p.token = ${lease.token}::bigint and p.lease_until is not null
        returning j.kind, j.cancel_requested as cancel, p.name = ${END_PART}
          or p.state = 'waiting' and p.round = j.round and j.status = 'running' as wanted`;
      if (row === undefined) {
        const [job] = await sql`
          select cancel_requested as cancel from backup_internal.job_runs
           where job_id = ${lease.jobId}`;
        return { lost: true, cancel: job?.cancel === true };
      }
      await sql`
        update backup_internal.job_runs set touched_at = ${now},
          phase = coalesce(${phase ?? null}::text, phase)
         where job_id = ${lease.jobId}`;
      if (row.wanted) await this.#publish(sql, lease.jobId);
      return { lost: !row.wanted, cancel: row.cancel };
    });
  }

  async complete(lease: Lease, outcome: PartOutcome): Promise<Reported> {
    return await this.#report(lease, async (sql, run) => {
      if (lease.name === END_PART) return await this.#forget(sql, run, lease.round);
      if (!isWanted(run, lease) || (run.cancel && outcome.finish === undefined)) {
        await this.#sweep(sql, run);
        return "lost";
      }
      if (outcome.again !== undefined) {
        await this.#wait(sql, run, { ...lease, ...outcome.again });
        return "recorded";
      }
      await this.#markDone(sql, lease, outcome);
      await insertParts(sql, run, [...(outcome.split ?? []), ...(outcome.add ?? [])]);
      if (outcome.finish !== undefined) {
        await this.#end(sql, run, {
          status: "completed",
          fields: outcomeFields(outcome.finish),
        });
      } else if (!await hasWaiting(sql, run)) {
        await this.#fail(sql, run, nothingLeft(run.jobId));
      } else {
        await this.#publish(sql, run.jobId);
      }
      return "recorded";
    });
  }

  async fail(lease: Lease, failure: PartFailure): Promise<Reported> {
    return await this.#report(lease, async (sql, run, { attempt }) => {
      const { code } = failure.error;
      const afterMs = failure.kind === "retry" ? failure.afterMs : 1000;
      const again = async () => {
        await sql`
          update backup_internal.job_parts set previous = ${code},
            not_before = ${this.#now(sql)} + make_interval(secs => ${afterMs / 1000})
           where job_id = ${run.jobId} and part = ${lease.part}`;
        return "recorded" as const;
      };
      if (lease.name === END_PART) {
        return attempt >= END_ATTEMPTS ? await this.#forget(sql, run, lease.round) : await again();
      }
      if (!isWanted(run, lease)) return "lost";
      if (run.cancel) await this.#sweep(sql, run);
      else if (failure.kind === "retry" && attempt < run.maxAttempts) return await again();
      else if (failure.kind === "begin-again" && run.round < run.maxRounds) {
        await this.#beginAgain(sql, run, failure.first ?? run.first);
      } else await this.#fail(sql, run, failure.error);
      return "recorded";
    });
  }

  async release(lease: Lease): Promise<void> {
    await this.#report(lease, async (sql, run) => {
      await sql`
        update backup_internal.job_parts set attempt = attempt - 1
         where job_id = ${run.jobId} and part = ${lease.part}`;
      await this.#sweep(sql, run);
      return "recorded";
    });
  }

  async *results(
    { jobId, round, behind = 0, before = MOST_PARTS }: PartsOf,
    name: string,
  ): AsyncIterable<DonePart> {
    for (let after = behind;;) {
      const rows = await this.#database.run("read what parts have given", (sql) =>
        sql`
          select part, step, name, payload, result from backup_internal.job_parts
           where job_id = ${jobId} and name = ${name} and part > ${after}
             and part < ${before} and round = ${round} and state = 'done'
           order by part limit ${PAGE}`);
      for (const row of rows) {
        const { part, step, name } = row;
        yield {
          part,
          step,
          name,
          payload: JSON.parse(row.payload),
          result: JSON.parse(row.result),
        };
      }
      if (rows.length < PAGE) return;
      after = rows[rows.length - 1]!.part;
    }
  }

  async cancel(jobId: string): Promise<void> {
    await this.#database.transaction("ask a job to stop", async (sql) => {
      const run = await lockRun(sql, jobId, this.#now);
      if (run === null || run.status !== "running") return;
      await sql`
        update backup_internal.job_runs set cancel_requested = true where job_id = ${jobId}`;
      await this.#sweep(sql, { ...run, cancel: true });
    });
  }

  /** Ids of jobs that run, and of those that have ended and still hold something. */
  async unfinished(): Promise<string[]> {
    return await this.#database.run("list jobs", async (sql) => {
      const rows = await sql<{ jobId: string }[]>`
        select job_id as "jobId" from backup_internal.job_runs`;
      return rows.map(({ jobId }) => jobId);
    });
  }

  async progress(jobId: string): Promise<Progress | null> {
    return await this.#database.run(
      "read progress",
      async (sql) => (await readProgress(sql, jobId, this.#now))?.progress ?? null,
    );
  }

  async waiting(
    { jobId }: { jobId?: string } = {},
  ): Promise<{ parts: number; nextInMs: number | null; workers: number }> {
    let parts = 0;
    let nextInMs: number | null = null;
    const workers = new Set<string>();
    for (const id of await this.#jobIds(jobId)) {
      const found = await this.#database.transaction("look for parts", async (sql) => {
        const run = await lockRun(sql, id, this.#now);
        if (run === null) return null;
        const leased = await this.#sweep(sql, run);
        for (const { live, worker } of leased) if (live) workers.add(worker);
        const now = this.#now(sql);
        const [row] = await sql`
          select count(*)::int as parts,
                 min(extract(epoch from greatest(p.not_before, p.lease_until, ${now}) - ${now}))
                   filter (where ${this.#isNext(sql, run, leased)})::float8 * 1000 as next
            from (select *, min(step) over () as rung from backup_internal.job_parts
                   where job_id = ${id} and state = 'waiting') p`;
        return row;
      });
      parts += found?.parts ?? 0;
      if (found?.next !== null && found?.next !== undefined) {
        // A moment that has just passed would give minus zero.
        nextInMs = Math.min(nextInMs ?? Infinity, Math.max(0, Math.ceil(found.next)));
      }
    }
    return { parts, nextInMs, workers: workers.size };
  }

  async #jobIds(jobId: string | undefined): Promise<string[]> {
    if (jobId !== undefined) return [jobId];
    const rows = await this.#database.run("look for jobs", (sql) =>
      sql`
        select job_id from backup_internal.job_runs order by priority desc, touched_at, job_id`);
    return rows.map((row) => row.job_id);
  }

  /** Which of the waiting parts may be taken when their pauses and leases are over. */
  #isNext(sql: Sql, run: JobRun, leased: readonly LeasedPart[]) {
    // What a round held is freed when nobody works with it any more.
    const busy = leased.filter((part) => part.live && part.step !== END_STEP)
      .map((part) => part.round);
    const ends = sql`p.step = ${END_STEP} and p.round <> all(${busy.map(String)}::text[]::int[])`;
    if (run.status !== "running" || run.cancel || this.#isForNewer(run)) return ends;
    return sql`(${ends} or p.step < ${END_STEP} and p.step = rung)`;
  }

  /**
   * This is a worker of before an upgrade, and those of the newer release go on with the job; unless it is left,
   * because the release was taken back.
   */
  #isForNewer(run: JobRun): boolean {
    return run.form > this.#form && !run.isLeft;
  }

  async #claimOf(
    sql: Sql,
    run: JobRun,
    { worker, leaseMs }: { worker: string; leaseMs: number },
  ): Promise<Lease | null> {
    const leased = await this.#sweep(sql, run);
    const others = new Set(
      leased.filter((part) => part.live && part.worker !== worker).map((part) => part.worker),
    );
    // Who began the job may still do what it has taken; then it is seen what becomes of the rest.
    const full = others.size >= (run.form === this.#form ? run.maxWorkers : 1);
    const now = this.#now(sql);
    const [row] = await sql`
      update backup_internal.job_parts t set
        worker = ${worker}, token = nextval('backup_internal.lease_tokens'),
        lease_until = ${now} + make_interval(secs => ${leaseMs / 1000}),
        attempt = t.attempt + 1, bytes_done = 0,
        previous = case when t.lease_until is null then t.previous else 'interrupted' end
       where (t.job_id, t.part) = (
         select p.job_id, p.part
           from backup_internal.job_parts p,
                (select min(step) as rung from backup_internal.job_parts
                  where job_id = ${run.jobId} and state = 'waiting') r
          where p.job_id = ${run.jobId} and p.state = 'waiting'
            and ${this.#isNext(sql, full ? { ...run, cancel: true } : run, leased)}
            and p.not_before <= ${now} and (p.lease_until is null or p.lease_until <= ${now})
          order by p.step = ${END_STEP} desc, p.part limit 1
          for update of p skip locked)
      returning t.*`;
    if (row === undefined) return null;
    await sql`
      update backup_internal.job_runs set touched_at = ${now},
        phase = case when ${row.name} = ${END_PART} then phase else ${
      row.name.replaceAll("-", " ")
    } end,
        moving_since = case when ${
      Number(row.bytes)
    }::bigint > 0 then coalesce(moving_since, ${now})
          else moving_since end
       where job_id = ${run.jobId}`;
    return {
      jobId: run.jobId,
      part: row.part,
      round: row.round,
      step: row.step,
      name: row.name,
      payload: JSON.parse(row.payload),
      bytes: Number(row.bytes),
      attempt: row.attempt,
      previous: toPrevious(row.previous),
      token: String(row.token),
      until: row.lease_until.toISOString(),
      ...(run.form === this.#form ? {} : { begunBy: run.form < this.#form ? "older" : "newer" }),
    };
  }

  /** Runs a report of a lease that is still the worker's, which ends with it. */
  async #report(
    lease: Lease,
    work: (sql: Sql, run: JobRun, part: { attempt: number }) => Promise<Reported>,
  ): Promise<Reported> {
    return await this.#database.transaction("record what a part has come to", async (sql) => {
      const run = await lockRun(sql, lease.jobId, this.#now);
      if (run === null) return "lost";
      // Sent together: each answer that is waited for costs the way to the server and back.
      const [[part]] = await Promise.all([
        sql`
          update backup_internal.job_parts set lease_until = null, bytes_done = 0
           where job_id = ${lease.jobId} and part = ${lease.part} and token = ${lease.token}::bigint
             and lease_until is not null
          returning attempt`,
        sql`
          update backup_internal.job_runs set touched_at = ${this.#now(sql)}
           where job_id = ${lease.jobId}`,
      ]);
      if (part === undefined) return "lost";
      return await work(sql, run, { attempt: part.attempt });
    });
  }

  /** Puts a part back that waits for something outside, with what it has learnt. */
  async #wait(
    sql: Sql,
    run: JobRun,
    part: Lease & { afterMs: number; forGood?: boolean },
  ): Promise<void> {
    const { payload, afterMs, forGood = false } = part;
    await sql`
      update backup_internal.job_parts set attempt = 0, previous = null,
        payload = ${toAsciiJson(payload)},
        not_before = ${this.#now(sql)} + make_interval(secs => ${afterMs / 1000})
       where job_id = ${run.jobId} and part = ${part.part}`;
    if (!forGood) return;
    await sql`
      update backup_internal.job_runs set first_parts = ${toAsciiJson(withPayload(run.first, part))}
       where job_id = ${run.jobId}`;
  }

  async #markDone(sql: Sql, lease: Lease, outcome: PartOutcome): Promise<void> {
    const id = sql`job_id = ${lease.jobId}`;
    if (outcome.split !== undefined) {
      await sql`delete from backup_internal.job_parts where ${id} and part = ${lease.part}`;
      await sql`
        update backup_internal.job_runs set parts = parts - 1, bytes = bytes - ${lease.bytes}
         where ${id}`;
      return;
    }
    const moved = Math.round(outcome.bytes ?? lease.bytes);
    await Promise.all([
      sql`
        update backup_internal.job_parts set state = 'done', result = ${toAsciiJson(outcome.result)}
         where ${id} and part = ${lease.part}`,
      sql`
        update backup_internal.job_runs set parts_done = parts_done + 1,
          bytes_done = bytes_done + ${moved}, bytes = bytes + ${moved - Math.round(lease.bytes)}
         where ${id}`,
    ]);
  }

  /** Draws the conclusions of leases that have ended and of a wish to cancel; the leases that are left. */
  async #sweep(sql: Sql, run: JobRun): Promise<LeasedPart[]> {
    const leased = await leasedParts(sql, run.jobId, this.#now);
    for (const part of leased) {
      if (part.live) continue;
      if (part.step === END_STEP && part.attempt >= END_ATTEMPTS) {
        await this.#forget(sql, run, part.round);
      }
      const wanted = isWanted(run, part) && part.step !== END_STEP;
      if (wanted && part.attempt >= run.maxAttempts) {
        await this.#fail(sql, run, lostTooOften(part.name, part.attempt));
      }
    }
    const idle = !leased.some((part) => part.live && part.step !== END_STEP);
    if (run.cancel && idle && run.status === "running") {
      const error = cancelledError(run.jobId);
      await this.#end(sql, run, { status: "cancelled", fields: { error: toJobError(error) } });
    }
    return leased;
  }

  async #fail(sql: Sql, run: JobRun, error: BackupError): Promise<void> {
    const status = error.code === "cancelled" ? "cancelled" : "failed";
    await this.#end(sql, run, { status, fields: { error: toJobError(error) } });
  }

  /** Ends the job for everybody who looks, and leaves one part that frees what it held. */
  async #end(
    sql: Sql,
    run: JobRun,
    { status, fields }: { status: JobStatus; fields: Partial<Job> },
  ): Promise<void> {
    const found = await readProgress(sql, run.jobId, this.#now);
    const [row] = await sql`
      select * from ${sql.unsafe(TABLES[run.kind])} where job_id = ${run.jobId}`;
    if (row !== undefined) {
      const job = { ...toJob(row, run.kind), progress: found?.progress ?? null };
      await writeEnd(sql, { ...job, ...fields, status, completedAt: null });
    }
    await sql`
      update backup_internal.job_runs set status = ${status} where job_id = ${run.jobId}`;
    run.status = status;
    await this.#giveUp(sql, run, status as JobEnd);
  }

  async #beginAgain(sql: Sql, run: JobRun, first: readonly NewPart[]): Promise<void> {
    await this.#giveUp(sql, run, "begins-again");
    await sql`
      update backup_internal.job_runs set round = round + 1, parts = 0, parts_done = 0, bytes = 0,
        bytes_done = 0, moving_since = null, first_parts = ${toAsciiJson(first)},
        form = ${this.#form}
       where job_id = ${run.jobId}`;
    await insertParts(sql, { jobId: run.jobId, round: run.round + 1 }, first);
    await this.#publish(sql, run.jobId);
  }

  /** Nothing of the round is wanted any more, except that its end be seen to. */
  async #giveUp(sql: Sql, run: JobRun, how: JobEnd): Promise<void> {
    const id = sql`job_id = ${run.jobId} and round = ${run.round} and state = 'waiting'
      and step < ${END_STEP}`;
    await sql`
      delete from backup_internal.job_parts
       where ${id} and (lease_until is null or lease_until <= ${this.#now(sql)})`;
    await sql`update backup_internal.job_parts set state = 'dropped' where ${id}`;
    await insertParts(sql, run, [{ step: END_STEP, name: END_PART, payload: how, bytes: 0 }]);
  }

  /** What a round has left in the tables is of no use any more. */
  async #forget(sql: Sql, run: JobRun, round: number): Promise<Reported> {
    await sql`
      delete from backup_internal.job_parts where job_id = ${run.jobId} and round = ${round}`;
    if (run.status !== "running") {
      await sql`
        delete from backup_internal.job_runs j where job_id = ${run.jobId}
           and not exists (select from backup_internal.job_parts p where p.job_id = j.job_id)`;
    }
    return "recorded";
  }

  /** Brings the row that users see up to date, every few seconds. */
  async #publish(sql: Sql, jobId: string): Promise<void> {
    if (performance.now() - (this.#publishedAt.get(jobId) ?? -Infinity) < PUBLISH_MS) return;
    this.#publishedAt.clear(); // of other jobs nothing is known for long
    this.#publishedAt.set(jobId, performance.now());
    const found = await readProgress(sql, jobId, this.#now);
    if (found !== null) await writeProgress(sql, { jobId, ...found });
  }
}

function takenBack({ jobId }: Job): BackupError {
  return new BackupError("conflict", `Cannot start ${jobId}: somebody has taken it back`);
}

/** Whether what a part does still counts. */
function isWanted(run: JobRun, part: { round: number }): boolean {
  return part.round === run.round && run.status === "running";
}

async function hasWaiting(sql: Sql, run: JobRun): Promise<boolean> {
  const rows = await sql`
    select from backup_internal.job_parts
     where job_id = ${run.jobId} and state = 'waiting' and step < ${END_STEP} limit 1`;
  return rows.length > 0;
}
