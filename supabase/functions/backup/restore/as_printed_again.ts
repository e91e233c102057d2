/**
 * What a server prints of its own words once it has read them.
 *
 * @module
 */

const ELEMENT = String.raw`(?:NULL|E?'(?:[^']|'')*')::[a-z" ]+`;
const CAST_LIST = new RegExp(
  String.raw`\(ARRAY\[(${ELEMENT}(?:, ${ELEMENT})*)\]\)::("?[a-z ]+"?)\[\]`,
  "g",
);
const EACH_ELEMENT = new RegExp(ELEMENT, "g");

/**
 * A statement as it reads after a round through a server. Of `code IN ('a', 'b')` over a varchar column
 * PostgreSQL first prints a cast of the whole list, and when that was run a cast of every element.
 */
export function asPrintedAgain(sql: string): string {
  return sql.replace(CAST_LIST, (_, elements: string, type: string) => {
    const cast = (elements.match(EACH_ELEMENT) ?? []).map((element) => `(${element})::${type}`);
    return `ARRAY[${cast.join(", ")}]`;
  });
}
