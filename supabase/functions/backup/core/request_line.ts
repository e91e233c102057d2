/**
 * A request to this service as a line for a shell, with the two variables of the README: `$URL` and `$KEY`.
 *
 * @module
 */

/** @param body its JSON; without one nothing is sent */
export function requestLine(action: string, body?: unknown): string {
  const data = body === undefined ? "" : ` -d '${quoted(JSON.stringify(body))}'`;
  return `curl -s -X POST "$URL?action=${action}" -H "apikey: $KEY"${data}`;
}

function quoted(text: string): string {
  return text.replaceAll("'", `'\\''`);
}
