/**
 * Reads the rows of a backup for a restore, in threads where a host has some.
 *
 * @module
 */
import type { Piece } from "../../core/model.ts";
import type { Repository } from "../../repository/mod.ts";
import type { ReadPieces } from "../../restore/mod.ts";

/** Threads of a host, each with a repository of its own, that read rows. */
export interface RowReader {
  /**
   * Reads as `Repository.readPieces` does with `passing`. It ends before the last piece, or before the first, when it
   * leaves the rest to whoever asked: it is not worth it, or the thread is no more. @throws as that
   */
  read(
    pieces: readonly Piece[],
    options: { signal?: AbortSignal | undefined },
  ): AsyncIterable<Uint8Array>;
}

/** What {@linkcode readRows} works with. */
export interface ReadRowsOptions {
  repository: Pick<Repository, "readPieces">;
  /** @default none: this thread reads */
  reader?: RowReader | undefined;
  signal?: AbortSignal | undefined;
}

/** Reads pieces, each slice valid until the next is asked for; what threads leave is read here. */
export function readRows({ repository, reader, signal }: ReadRowsOptions): ReadPieces {
  const options = signal === undefined ? {} : { signal };
  const readHere = (pieces: readonly Piece[]) =>
    repository.readPieces(pieces, { passing: true, ...options });
  if (reader === undefined) return readHere;
  return async function* (pieces) {
    let read = 0;
    for await (const slice of reader.read(pieces, options)) {
      yield slice;
      read++;
    }
    if (read < pieces.length) yield* readHere(pieces.slice(read));
  };
}
