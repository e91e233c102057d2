/**
 * SQL text that psql reads as SQL and nothing else.
 *
 * psql acts on a backslash and replaces `:name` wherever it stands outside of quotes and comments. No
 * definition needs either; one that has them is not what a server writes, and is refused or spaced out.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import { endOfQuoted } from "../../postgres/sql_quotes.ts";

/**
 * A statement with its semicolon, safe for psql.
 *
 * @throws {BackupError} `unsupported_object` when a quote or comment does not end, or a backslash stands
 * outside of them
 */
export function psqlStatement(sql: string): string {
  let text = "";
  let at = 0;
  while (at < sql.length) {
    const end = endOfQuoted(sql, at);
    if (end === null) throw refused("a quote or comment does not end");
    if (end > at) {
      text += sql.slice(at, end);
      at = end;
      continue;
    }
    const char = sql[at]!;
    if (char === "\\" || char === "\0") {
      throw refused("a backslash stands outside of its quotes");
    }
    text += char;
    at++;
    // `::` is a cast and `:=` an assignment; a colon before a name is a slice, and may have a space.
    if (char === ":" && text.at(-2) !== ":" && /[\p{L}\p{N}_'"{]/u.test(sql[at] ?? "")) text += " ";
  }
  return `${text.trimEnd()}\n;\n`;
}

/** A comment line; what could end the line is shown as a space. */
export function psqlComment(text: string): string {
  // deno-lint-ignore no-control-regex
  return `-- ${text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, " ")}\n`;
}

function refused(why: string): BackupError {
  return new BackupError("unsupported_object", `Cannot write a definition for psql: ${why}`, {
    hint: "Restore the backup instead; restores send each statement by itself.",
  });
}
