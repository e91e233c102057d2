/**
 * Errors as the server reports them.
 *
 * @module
 */
import { BackupError, type ErrorCode } from "../core/errors.ts";

/** What a server's error says about itself, without anything that may hold a row's value. */
export interface DatabaseErrorFacts {
  /** Five characters, such as `42P01`. */
  sqlState: string;
  /** `ERROR`, `FATAL` or `PANIC`. */
  severity: string;
  /** The server's primary message; quoted input is struck out where it may be data. */
  serverMessage: string;
  /** The server's hint. */
  serverHint?: string;
  /** Where in the statement, counted in characters from 1. */
  position?: number;
  schema?: string;
  table?: string;
  column?: string;
  dataType?: string;
  constraint?: string;
  /** Line of the COPY data, counted from 1. */
  copyLine?: number;
  /** Column of the COPY data. */
  copyColumn?: string;
  /** The function of the server's source that raised it. */
  routine?: string;
}

/**
 * A statement that the server refused. Its DETAIL and most of its CONTEXT are left out, because both
 * may quote rows.
 */
export class DatabaseError extends BackupError {
  readonly sqlState: string;
  readonly facts: DatabaseErrorFacts;

  constructor(what: string, facts: DatabaseErrorFacts, code = codeOf(facts)) {
    const line = facts.copyLine === undefined ? "" : `, line ${facts.copyLine} of the data`;
    super(code, `Cannot ${what}: ${facts.serverMessage} (SQLSTATE ${facts.sqlState}${line})`, {
      hint: hintOf(facts),
      details: { ...facts },
    });
    this.sqlState = facts.sqlState;
    this.facts = facts;
  }

  /** Whether the server ended the connection with this error. */
  get fatal(): boolean {
    return this.facts.severity === "FATAL" || this.facts.severity === "PANIC";
  }
}

/** Reads the fields of an ErrorResponse. */
export function parseErrorFields(body: Uint8Array, decode: (bytes: Uint8Array) => string) {
  const fields = new Map<string, string>();
  let at = 0;
  while (at < body.length && body[at] !== 0) {
    const end = body.indexOf(0, at + 1);
    if (end < 0) break;
    fields.set(String.fromCharCode(body[at]!), decode(body.subarray(at + 1, end)));
    at = end + 1;
  }
  const sqlState = fields.get("C") ?? "XX000";
  const facts: DatabaseErrorFacts = {
    sqlState,
    severity: fields.get("V") ?? fields.get("S") ?? "ERROR",
    serverMessage: strikeOutData(sqlState, fields.get("M") ?? "the server gave no message"),
  };
  const position = Number(fields.get("P"));
  const copy = /^COPY [^\n]*?, line (\d+)(?:, column ([^\n]*?): (?:"|null input))?/m
    .exec(fields.get("W") ?? "");
  return Object.assign(
    facts,
    fields.has("H") && { serverHint: fields.get("H")! },
    position > 0 && { position },
    fields.has("s") && { schema: fields.get("s")! },
    fields.has("t") && { table: fields.get("t")! },
    fields.has("c") && { column: fields.get("c")! },
    fields.has("d") && { dataType: fields.get("d")! },
    fields.has("n") && { constraint: fields.get("n")! },
    copy !== null && { copyLine: Number(copy[1]) },
    copy?.[2] !== undefined && { copyColumn: copy[2] },
    fields.has("R") && { routine: fields.get("R")! },
  );
}

/** Data exceptions quote the input that they refuse; these two of their class quote names instead. */
function strikeOutData(sqlState: string, message: string): string {
  if (!sqlState.startsWith("22") || sqlState === "22023" || sqlState === "22P04") return message;
  // Text that is not of the encoding is shown by its bytes.
  return message.replace(/"[\s\S]*"/, '"…"').replace(/(?: 0x[0-9a-f]{2})+/, " …");
}

function codeOf({ sqlState, severity }: DatabaseErrorFacts): ErrorCode {
  if (sqlState === "55P03") return "lock_timeout";
  if (sqlState === "42501") return "insufficient_privilege";
  if (sqlState === "XX001" || sqlState === "XX002") return "damaged_source";
  // Poolers end connections with it for every reason; a server that stays has only refused what it was sent.
  if (sqlState === "08P01" && severity === "ERROR") return "database_error";
  if (sqlState.startsWith("08") || /^(57P0[1-5]|53300)$/.test(sqlState)) {
    return "database_unreachable";
  }
  return "database_error";
}

function hintOf(facts: DatabaseErrorFacts): string {
  if (facts.serverHint !== undefined) return facts.serverHint;
  const { sqlState } = facts;
  if (sqlState.startsWith("28")) return "Check the user and the password in the database URL.";
  if (sqlState === "3D000") return "Check the database's name in the URL.";
  if (sqlState === "53300") return "Wait until connections are free, or raise max_connections.";
  if (sqlState === "42501") return "Use a role that has this right, or have it granted.";
  if (sqlState === "55P03") return "Look for long transactions in pg_stat_activity and try again.";
  if (sqlState.startsWith("57P0")) return "The server ended the connection; try again.";
  return "Look the SQLSTATE up in PostgreSQL's list of error codes.";
}
