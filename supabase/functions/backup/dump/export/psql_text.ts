/**
 * SQL text that psql reads as SQL and nothing else.
 *
 * psql acts on a backslash and replaces `:name` wherever it stands outside of quotes and comments. No
 * definition needs either; one that has them is not what a server writes, and is refused or spaced out.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";

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

/** Where the quoted text or comment that begins here ends; the same place when none begins. */
function endOfQuoted(sql: string, at: number): number {
  const char = sql[at];
  if (char === "'") return endOfString(sql, at, /[eE]$/.test(prefixOf(sql, at)));
  if (char === '"') return endOfString(sql, at, false);
  if (char === "-" && sql[at + 1] === "-") {
    const end = sql.indexOf("\n", at);
    return end < 0 ? sql.length : end;
  }
  if (char === "/" && sql[at + 1] === "*") return endOfComment(sql, at);
  if (char === "$") return endOfDollar(sql, at);
  return at;
}

/** The letters directly before a quote, unless they end a longer name. */
function prefixOf(sql: string, at: number): string {
  const letter = sql[at - 1] ?? "";
  return /[\p{L}\p{N}_$]/u.test(sql[at - 2] ?? "") ? "" : letter;
}

function endOfString(sql: string, at: number, backslashEscapes: boolean): number {
  const quote = sql[at];
  for (let i = at + 1; i < sql.length; i++) {
    if (backslashEscapes && sql[i] === "\\") i++;
    else if (sql[i] === quote && sql[i + 1] === quote) i++;
    else if (sql[i] === quote) return i + 1;
  }
  throw refused("a quote does not end");
}

function endOfComment(sql: string, at: number): number {
  let depth = 0;
  for (let i = at; i < sql.length; i++) {
    if (sql[i] === "/" && sql[i + 1] === "*") {
      depth++;
      i++;
    } else if (sql[i] === "*" && sql[i + 1] === "/") {
      depth--;
      i++;
      if (depth === 0) return i + 1;
    }
  }
  throw refused("a comment does not end");
}

function endOfDollar(sql: string, at: number): number {
  // A dollar inside a name begins no quote.
  if (/[\p{L}\p{N}_]/u.test(sql[at - 1] ?? "")) return at;
  const tag = /^\$(?:[\p{L}_\u0080-\u{10ffff}][\p{L}\p{N}_\u0080-\u{10ffff}]*)?\$/u
    .exec(sql.slice(at, at + 200))?.[0];
  if (tag === undefined) return at;
  const end = sql.indexOf(tag, at + tag.length);
  if (end < 0) throw refused("a dollar quote does not end");
  return end + tag.length;
}

function refused(why: string): BackupError {
  return new BackupError("unsupported_object", `Cannot write a definition for psql: ${why}`, {
    hint: "Restore the backup instead; restores send each statement by itself.",
  });
}
