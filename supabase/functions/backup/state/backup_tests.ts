/**
 * Rows of `backup_tests`.
 *
 * @module
 */
import type { StateDatabase } from "./database.ts";
import { toJson } from "./job_rows.ts";

/** What is tested, in the words of the table. */
export type BackupTestType =
  | "integrity_check"
  | "restore_test"
  | "data_verification"
  | "spot_check";

/** A test that was asked for and that nobody has begun. */
export interface PendingTest {
  backupId: string;
  testType: BackupTestType;
  requestedBy: string | null;
  requestedAt: string;
}

/** A test that begins. */
export interface NewTest {
  jobId: string;
  backupId: string;
  testType: BackupTestType;
  /** Where, such as the name of the scratch database. */
  environment: string | null;
  testedBy: string | null;
}

/** What a test has come to. */
export interface TestEnd {
  jobId: string;
  /** Null when it was stopped before it could tell. */
  success: boolean | null;
  /** Codes and messages; never values of rows. */
  errors?: readonly { code: string; message: string }[];
  /** What was compared, as counts. */
  dataVerified?: Record<string, unknown>;
  /** Tables, or other pieces, that were compared. */
  samplesVerified?: number;
  dataLossDetected?: boolean;
  restoreSeconds?: number;
}

/** Tests of backups: asked for, running, finished. */
export class BackupTestRows {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  /** What was asked for, oldest first. It stays pending until {@linkcode begin} or {@linkcode refuse}. */
  async pending(limit = 10): Promise<PendingTest[]> {
    const rows = await this.#database.run("read the tests that were asked for", (sql) =>
      sql`
        select backup_id, test_type, tested_by, requested_at from public.backup_tests
        where started_at is null and completed_at is null order by requested_at, id limit ${limit}`);
    return rows.map((row) => ({
      backupId: row.backup_id,
      testType: row.test_type,
      requestedBy: row.tested_by,
      requestedAt: row.requested_at.toISOString(),
    }));
  }

  /** Records that a test has begun: the one that was asked for, if it was. Doing it twice is doing it once. */
  async begin({ jobId, backupId, testType, environment, testedBy }: NewTest): Promise<void> {
    await this.#database.transaction("record a test", async (sql) => {
      const [known] = await sql`select from public.backup_tests where job_id = ${jobId}`;
      if (known !== undefined) return;
      const claimed = await sql`
        update public.backup_tests set started_at = now(), job_id = ${jobId},
          test_environment = ${environment}, tested_by = coalesce(tested_by, ${testedBy})
        where backup_id = ${backupId} and test_type = ${testType}
          and started_at is null and completed_at is null
        returning id`;
      if (claimed.length > 0) return;
      await sql`
        insert into public.backup_tests (job_id, backup_id, test_type, test_environment, tested_by)
        values (${jobId}, ${backupId}, ${testType}, ${environment}, ${testedBy})
        on conflict (job_id) do nothing`;
    });
  }

  /** Records how a test has ended; the first end counts. */
  async finish(end: TestEnd): Promise<void> {
    const { errors = [], dataVerified = null, samplesVerified = null, restoreSeconds = null } = end;
    await this.#database.run("record the end of a test", (sql) =>
      sql`
        update public.backup_tests set completed_at = now(), success = ${end.success},
          errors_found = ${sql.json(toJson(errors))},
          data_verified = ${dataVerified === null ? null : sql.json(toJson(dataVerified))},
          data_samples_verified = ${samplesVerified},
          restore_duration = make_interval(secs => ${restoreSeconds}),
          data_loss_detected = ${end.dataLossDetected ?? false}
        where job_id = ${end.jobId} and completed_at is null`);
  }

  /** Ends a test that was asked for and cannot be begun, such as one of a backup that there is not. */
  async refuse(
    { backupId, testType, code, message }: {
      backupId: string;
      testType: BackupTestType;
      code: string;
      message: string;
    },
  ): Promise<void> {
    await this.#database.run("refuse a test", (sql) =>
      sql`
        update public.backup_tests set completed_at = now(), success = false,
          errors_found = ${sql.json(toJson([{ code, message }]))}
        where backup_id = ${backupId} and test_type = ${testType}
          and started_at is null and completed_at is null`);
  }
}
