/**
 * Begins to read before anybody asks.
 *
 * @module
 */

/** The same slices; the first one is fetched at once. */
export function readAhead<T>(source: AsyncIterable<T>): AsyncIterable<T> {
  const iterator = source[Symbol.asyncIterator]();
  const first = iterator.next();
  first.catch(() => {}); // thrown again to whoever reads
  return (async function* () {
    for (let next = await first; next.done !== true; next = await iterator.next()) {
      yield next.value;
    }
  })();
}
