/**
 * The little of XML that is read of S3's answers.
 *
 * @module
 */

/** The text of the first element of this name; null without one, or where it has more than text. */
export function textOf(xml: string, element: string): string | null {
  const opening = `<${element}>`;
  const begin = xml.indexOf(opening);
  if (begin < 0) return null;
  const from = begin + opening.length;
  const end = xml.indexOf("<", from);
  return xml.startsWith(`</${element}>`, end) ? unescapeXml(xml.slice(from, end)) : null;
}

const NAMED: Record<string, string> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

function unescapeXml(text: string): string {
  return text.replace(
    /&(?:#(\d{1,7})|#x([0-9a-fA-F]{1,6})|(\w{2,4}));/g,
    (all, decimal, hexadecimal, name) => {
      if (name !== undefined) return NAMED[name] ?? all;
      const code = decimal === undefined ? parseInt(hexadecimal, 16) : Number(decimal);
      return code <= 0x10ffff ? String.fromCodePoint(code) : all;
    },
  );
}
