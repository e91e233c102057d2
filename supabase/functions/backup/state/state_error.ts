/**
 * Turns what the state tables' driver throws into the product's errors.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import { requestLine } from "../core/request_line.ts";

/** SQLSTATEs of a table or schema that is not there. */
const MISSING = new Set(["42P01", "3F000"]);

/** SQLSTATEs of a column or function that is not there: tables that a later release has changed. */
const OLDER = new Set(["42703", "42883"]);

/** SQLSTATEs of a lock that was not granted, a deadlock, and a transaction that another one overtook. */
const PASSING = new Set(["55P03", "40P01", "40001"]);

/** SQLSTATE of a write to a database that takes none. */
const READ_ONLY = "25006";

/** The error for a failed statement or connection; the server's DETAIL is left out. */
export function toStateError(error: unknown, doing: string): BackupError {
  if (error instanceof BackupError) return error;
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  if (MISSING.has(code)) {
    return new BackupError("not_found", `Cannot ${doing}: the service's tables are not there`, {
      hint: `Make them: ${requestLine("init")}`,
      cause: error,
    });
  }
  if (OLDER.has(code)) {
    return new BackupError(
      "not_found",
      `Cannot ${doing}: the service's tables are of an older release`,
      { hint: `Bring them up to this release: ${requestLine("init")}`, cause: error },
    );
  }
  if (PASSING.has(code)) {
    return new BackupError(
      "lock_timeout",
      `Cannot ${doing}: another session holds one of the service's tables`,
      { hint: "Try again; pg_locks and pg_stat_activity name who holds it.", cause: error },
    );
  }
  if (code === "42P13" || code === "42723") {
    return new BackupError("conflict", `Cannot ${doing}: ${message}`, {
      hint: "A function of one of the service's names is there and is another one. " +
        "Drop or rename it: docs/sql.md lists the names.",
      cause: error,
    });
  }
  if (code === "42501") {
    return new BackupError("insufficient_privilege", `Cannot ${doing}: ${message}`, {
      hint: "Connect as the role that made the tables (on Supabase: postgres).",
      cause: error,
    });
  }
  if (code === READ_ONLY) {
    return new BackupError("database_error", `Cannot ${doing}: the database is read-only`, {
      hint: "A disk that is full makes it so on Supabase: enlarge it or free space. " +
        "A standby takes no writes either: SUPABASE_DB_URL has to lead to the primary server.",
      details: { sqlState: code },
      cause: error,
    });
  }
  // A pooler whose server is away says so in codes of its own, and ends the connection. A server that says
  // 08P01 and stays was reached, and refused what it was sent.
  const isRefused = /^(08(?!P01)|57P|28|3D|53)/.test(code) || severityOf(error) === "FATAL";
  if (/^[0-9A-Z]{5}$/.test(code) && !isRefused) {
    return new BackupError("database_error", `Cannot ${doing}: ${message}`, {
      details: { sqlState: code },
      cause: error,
    });
  }
  return new BackupError(
    "database_unreachable",
    `Cannot ${doing}: no connection to the database (${code || "no answer"})`,
    { hint: "Check that the database runs and SUPABASE_DB_URL is right.", cause: error },
  );
}

/** Whether the tables cannot be used just now, which never stops a backup or a restore. */
export function isStateUnavailable(error: BackupError): boolean {
  return error.code === "database_unreachable" || error.code === "not_found" ||
    error.code === "insufficient_privilege";
}

function severityOf(error: unknown): string {
  return typeof error === "object" && error !== null && "severity" in error
    ? String(error.severity)
    : "";
}

function codeOf(error: unknown): string {
  return typeof error === "object" && error !== null && "code" in error ? String(error.code) : "";
}
