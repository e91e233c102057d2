/**
 * Reads single lines of a list by their numbers.
 *
 * @module
 */
import { mapConcurrent } from "./map_concurrent.ts";
import type { LinesRef, Repository } from "./types.ts";

/** Chunks that are read at a time. */
const CONCURRENCY = 4;

/** The lines by their numbers; chunks without any of them are not read. */
export async function pickLines<T>(
  repository: Pick<Repository, "readLines">,
  { ref, numbers, signal }: {
    ref: LinesRef;
    numbers: Iterable<number>;
    signal?: AbortSignal | undefined;
  },
): Promise<Map<number, T>> {
  const wanted = new Uint8Array(ref.lines);
  for (const number of numbers) wanted[number] = 1;
  const chunks: { first: number; chunk: LinesRef["chunks"][number] }[] = [];
  let first = 0;
  for (const chunk of ref.chunks) {
    if (wanted.subarray(first, first + chunk.lines).includes(1)) chunks.push({ first, chunk });
    first += chunk.lines;
  }
  const options = signal === undefined ? {} : { signal };
  const picked = new Map<number, T>();
  await mapConcurrent(chunks, CONCURRENCY, async ({ first, chunk }) => {
    let number = first;
    const some = { lines: chunk.lines, chunks: [chunk] };
    for await (const value of repository.readLines<T>(some, options)) {
      if (wanted[number] === 1) picked.set(number, value);
      number++;
    }
  });
  return picked;
}
