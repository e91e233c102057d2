/**
 * The little of XML that is read of S3's answers.
 *
 * @module
 */

/** The text of the first element of this name; null without one. */
export function textOf(xml: string, element: string): string | null {
  const text = new RegExp(`<${element}>([^<]*)</${element}>`).exec(xml)?.[1];
  return text === undefined ? null : unescapeXml(text);
}

const NAMED: Record<string, string> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

function unescapeXml(text: string): string {
  return text.replace(
    /&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|(\w{2,4}));/g,
    (all, decimal, hexadecimal, name) => {
      if (name !== undefined) return NAMED[name] ?? all;
      return String.fromCodePoint(
        decimal === undefined ? parseInt(hexadecimal, 16) : Number(decimal),
      );
    },
  );
}
