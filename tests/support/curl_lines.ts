/**
 * Requests as pages show them: lines of curl.
 *
 * @module
 */

/** What a line of curl sends. */
export interface CurlLine {
  line: string;
  method: string;
  /** Of the query, with `action`. */
  query: Record<string, string>;
  /** Names in small letters. */
  headers: Record<string, string>;
  /** The words after `-d`; null without. */
  body: string | null;
}

/** Every request to an action that stands in a text; a backslash at the end goes on with the line. */
export function curlLinesOf(text: string): CurlLine[] {
  const lines = text.replaceAll(/\\\n\s*/g, " ").split("\n");
  return lines.map((line) => line.slice(Math.max(0, line.indexOf("curl ")))).filter((line) =>
    line.startsWith("curl ") && line.includes("?action=")
  ).map(readCurlLine);
}

function readCurlLine(line: string): CurlLine {
  const read: CurlLine = { line, method: "GET", query: {}, headers: {}, body: null };
  const words = wordsOf(line).slice(1);
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word.startsWith("#") || word === "|" || word === ">") break;
    const value = () => words.shift() ?? "";
    if (word === "-X") read.method = value();
    else if (word === "-d") read.body = value();
    else if (word === "-H") {
      const [name = "", ...rest] = value().split(":");
      read.headers[name.toLowerCase()] = rest.join(":").trim();
    } else if (word.includes("?")) {
      read.query = Object.fromEntries(new URLSearchParams(word.slice(word.indexOf("?"))));
    }
  }
  if (read.body !== null && read.method === "GET") read.method = "POST";
  return read;
}

/** Words as a shell takes them: quotes of both kinds, and none inside each other. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/(?:'[^']*'|"(?:\\.|[^"\\])*"|[^\s'"])+/g)].map(([word]) =>
    word.replaceAll(
      /'([^']*)'|"((?:\\.|[^"\\])*)"/g,
      (_, plain, quoted) => plain ?? quoted.replaceAll(/\\(.)/g, "$1"),
    )
  );
}
