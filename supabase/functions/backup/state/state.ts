/**
 * The service's own tables, together.
 *
 * @module
 */
import type { Secret } from "../core/secret.ts";
import { AlertTables } from "./alert_tables.ts";
import { ApiRequests } from "./api_requests.ts";
import { applyMigrations, type MigrationReport } from "./apply_migrations.ts";
import { BackupAuditLog } from "./backup_audit_log.ts";
import { BackupConfigTable } from "./backup_config.ts";
import { BackupRows } from "./backup_rows.ts";
import { BackupTestRows } from "./backup_tests.ts";
import { BackupVerificationRows } from "./backup_verification.ts";
import { StateDatabase } from "./database.ts";
import { JobTables } from "./job_tables.ts";
import { LatestRuns } from "./latest_runs.ts";
import { PartTables } from "./part_tables.ts";
import { PendingBackups } from "./pending_backups.ts";
import { RecoveryPointRows } from "./recovery_points.ts";
import { RecoveryExecutionTable } from "./recovery_executions.ts";
import { RecoveryPlanTable } from "./recovery_plans.ts";
import { removeTables } from "./remove_tables.ts";
import { type RunningPoint, RunningPoints } from "./running_points.ts";
import { readTablesRelease, type TablesRelease } from "./tables_release.ts";

/** After a look that failed, so that a database that is down does not make each request wait for it twice. */
const LOOK_AGAIN_MS = 60_000;

/** Everything the service keeps in the database: an index of storage, never the only copy. */
export class State {
  readonly database: StateDatabase;
  readonly jobs: JobTables;
  readonly parts: PartTables;
  readonly backups: BackupRows;
  readonly recoveryPoints: RecoveryPointRows;
  readonly latestRuns: LatestRuns;
  readonly pendingBackups: PendingBackups;
  readonly tests: BackupTestRows;
  readonly verifications: BackupVerificationRows;
  readonly config: BackupConfigTable;
  readonly audit: BackupAuditLog;
  readonly alerts: AlertTables;
  readonly plans: RecoveryPlanTable;
  readonly executions: RecoveryExecutionTable;
  readonly apiRequests: ApiRequests;
  /** When the tables are looked at for an upgrade; by `performance.now()`. */
  #nextLookMs = 0;
  #looking: Promise<string[]> | null = null;

  constructor(url: Secret | null) {
    this.database = new StateDatabase(url);
    this.jobs = new JobTables(this.database);
    this.backups = new BackupRows(this.database);
    this.recoveryPoints = new RecoveryPointRows(this.database);
    this.latestRuns = new LatestRuns(this.database);
    this.pendingBackups = new PendingBackups(this.database);
    this.tests = new BackupTestRows(this.database);
    this.verifications = new BackupVerificationRows(this.database);
    this.parts = new PartTables(this.database);
    this.config = new BackupConfigTable(this.database);
    this.audit = new BackupAuditLog(this.database);
    this.alerts = new AlertTables(this.database);
    this.plans = new RecoveryPlanTable(this.database);
    this.executions = new RecoveryExecutionTable(this.database);
    this.apiRequests = new ApiRequests(this.database);
  }

  /** Recovery points that are being made; their plans are what the caller says that they are. */
  runningPoints<Plan extends RunningPoint>(): RunningPoints<Plan> {
    return new RunningPoints<Plan>(this.database);
  }

  /** Makes or upgrades the tables; safe to repeat, also by two callers at once. */
  async migrate(): Promise<MigrationReport> {
    return await applyMigrations(this.database);
  }

  /** Which release made the tables; null where there are none. */
  async release(): Promise<TablesRelease | null> {
    return await readTablesRelease(this.database);
  }

  /**
   * Brings tables of an older release to this one. It looks until it has found tables once, and does
   * nothing where there are none or newer ones.
   *
   * @returns versions of the migrations that were applied
   */
  async upgrade(): Promise<string[]> {
    if (performance.now() < this.#nextLookMs) return [];
    if (this.#looking !== null) {
      await this.#looking;
      return []; // whoever came first is told
    }
    this.#looking = this.#upgrade().finally(() => this.#looking = null);
    return await this.#looking;
  }

  async #upgrade(): Promise<string[]> {
    try {
      const release = await this.release();
      if (release === null) return [];
      const isOlder = release.lacking.length > 0 && release.unknown.length === 0;
      if (isOlder) await this.migrate();
      this.#nextLookMs = Infinity;
      return isOlder ? release.lacking : [];
    } catch (error) {
      this.#nextLookMs = performance.now() + LOOK_AGAIN_MS;
      throw error;
    }
  }

  /** Takes the tables away again. @throws `conflict` while a job runs */
  async removeTables(): Promise<{ removed: string[] }> {
    return await removeTables(this.database);
  }

  /** A secret of the project's Vault, null when there is none of that name. */
  async vaultSecret(name: string): Promise<string | null> {
    const rows = await this.database.run(
      "read the Vault",
      (sql) => sql`select decrypted_secret from vault.decrypted_secrets where name = ${name}`,
    );
    return rows[0]?.decrypted_secret ?? null;
  }

  /** Puts a secret into the project's Vault. @throws `database_error` when there is no Vault */
  async keepVaultSecret(name: string, value: Secret): Promise<void> {
    await this.database.run("write to the Vault", async (sql) => {
      await sql`select vault.create_secret(${value.reveal()}, ${name})`;
    });
  }

  async close(): Promise<void> {
    await this.database.close();
  }
}
