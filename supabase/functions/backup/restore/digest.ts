/**
 * Texts as a number: whether two are the same can be told without keeping either.
 *
 * @module
 */

/** No code of a character: what ends one text and not another must not look the same. */
const END = 0x10000;

/**
 * 64 bits of some texts in their order, as two numbers. Good against accidents; whoever chooses the texts
 * could make two alike.
 */
export function digestOf(texts: Iterable<string>): [number, number] {
  let one = 0x811c9dc5;
  let other = 0x9747b28c;
  for (const text of texts) {
    for (let at = 0; at <= text.length; at++) {
      const code = at < text.length ? text.charCodeAt(at) : END;
      one = Math.imul(one ^ code, 0x01000193);
      other = Math.imul(other ^ code, 0x85ebca6b);
      other = (other << 13) | (other >>> 19);
    }
  }
  return [mixed(one ^ (other >>> 16)), mixed(other + one)];
}

/** Lets every bit of a number count in all of it. */
function mixed(number: number): number {
  let bits = Math.imul(number ^ (number >>> 16), 0x7feb352d);
  bits = Math.imul(bits ^ (bits >>> 15), 0x846ca68b);
  return (bits ^ (bits >>> 16)) >>> 0;
}
