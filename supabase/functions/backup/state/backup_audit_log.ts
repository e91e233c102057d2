/**
 * Rows of `backup_audit_log`.
 *
 * @module
 */
import type postgres from "postgres";
import type { StateDatabase } from "./database.ts";

/** What was asked for, by whom, and what came of it. */
export interface AuditEvent {
  action: string;
  /** Name of the key, never the key. */
  actor: string | null;
  requestId: string | null;
  /** Id of the job or thing concerned. */
  subject: string | null;
  outcome: "accepted" | "completed" | "failed" | "cancelled";
  details: Record<string, unknown>;
}

/** The log; rows are only ever added. */
export class BackupAuditLog {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  async add(event: AuditEvent): Promise<void> {
    await this.#database.run("write the audit log", (sql) =>
      sql`
        insert into public.backup_audit_log (action, actor, request_id, subject, outcome, details)
        values (${event.action}, ${event.actor}, ${event.requestId}, ${event.subject}, ${event.outcome},
          ${sql.json(JSON.parse(JSON.stringify(event.details)) as postgres.JSONValue)})`);
  }

  /** Whether `init` has proposed a key before: it does so once. */
  async hasProposedKey(): Promise<boolean> {
    const rows = await this.#database.run("read the audit log", (sql) =>
      sql`
        select from public.backup_audit_log
        where action = 'init' and (details->>'proposedKey')::boolean limit 1`);
    return rows.length > 0;
  }
}
