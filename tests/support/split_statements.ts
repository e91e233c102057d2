/**
 * Cuts SQL text into statements where psql would.
 *
 * @module
 */

const TOKENS = new RegExp(
  [
    "--[^\\n]*",
    "/\\*[\\s\\S]*?\\*/",
    "[eE]'(?:[^'\\\\]+|\\\\[\\s\\S])*'",
    "'[^']*'", // a doubled quote reads as two strings, which ends in the same place
    '"[^"]*"',
    "(?<tag>\\$(?:[A-Za-z_\\x80-\\uffff][\\w\\x80-\\uffff]*)?\\$)[\\s\\S]*?\\k<tag>",
    "(?<word>[A-Za-z_\\x80-\\uffff][\\w$\\x80-\\uffff]*)",
    "[();]",
    "[\\s\\S]",
  ].join("|"),
  "gu",
);

/** The statements of a text, without their semicolons. */
export function splitStatements(sql: string): string[] {
  const statements: string[] = [];
  let start = 0;
  let parentheses = 0;
  let words: string[] = [];
  let blocks = 0;
  for (const match of sql.matchAll(TOKENS)) {
    const token = match[0];
    const word = match.groups?.["word"]?.toUpperCase();
    if (word !== undefined) {
      if (words.length < 4) words.push(word);
      if (isRoutine(words)) {
        // A body in standard SQL holds semicolons; CASE counts, because it has an END as well.
        if (word === "BEGIN" || (word === "CASE" && blocks > 0)) blocks++;
        else if (word === "END" && blocks > 0) blocks--;
      }
    } else if (token === "(") parentheses++;
    else if (token === ")") parentheses--;
    else if (token === ";" && parentheses === 0 && blocks === 0) {
      statements.push(sql.slice(start, match.index));
      start = match.index + 1;
      words = [];
    }
  }
  statements.push(sql.slice(start));
  return statements.map((each) => each.trim()).filter((each) => each !== "");
}

function isRoutine(words: readonly string[]): boolean {
  return /^CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE)\b/.test(words.join(" "));
}
