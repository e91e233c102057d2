/**
 * Where quoted text and comments of SQL end, as psql and the server read them with
 * standard_conforming_strings on.
 *
 * @module
 */

/**
 * Where the quoted text or comment that begins here ends; the same place when none begins, null when it
 * does not end.
 *
 * @example
 * ```ts
 * endOfQuoted("'it''s' x", 0); // 7
 * ```
 */
export function endOfQuoted(sql: string, at: number): number | null {
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

function endOfString(sql: string, at: number, backslashEscapes: boolean): number | null {
  const quote = sql[at];
  for (let i = at + 1; i < sql.length; i++) {
    if (backslashEscapes && sql[i] === "\\") i++;
    else if (sql[i] === quote && sql[i + 1] === quote) i++;
    else if (sql[i] === quote) return i + 1;
  }
  return null;
}

function endOfComment(sql: string, at: number): number | null {
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
  return null;
}

function endOfDollar(sql: string, at: number): number | null {
  // A dollar inside a name begins no quote.
  if (/[\p{L}\p{N}_]/u.test(sql[at - 1] ?? "")) return at;
  const tag = /^\$(?:[\p{L}_\u0080-\u{10ffff}][\p{L}\p{N}_\u0080-\u{10ffff}]*)?\$/u
    .exec(sql.slice(at, at + 200))?.[0];
  if (tag === undefined) return at;
  const end = sql.indexOf(tag, at + tag.length);
  return end < 0 ? null : end + tag.length;
}
