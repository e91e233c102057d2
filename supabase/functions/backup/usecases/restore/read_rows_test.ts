import assert from "node:assert/strict";
import type { Piece } from "../../core/model.ts";
import { readRows, type RowReader } from "./read_rows.ts";

const PIECES: Piece[] = ["a", "b", "c", "d"].map((chunk) => ({ chunk, offset: 0, length: 1 }));

/** What pieces are, and by whom they are asked for. */
async function* slices(pieces: readonly Piece[], asked: string[], who: string) {
  for (const { chunk } of pieces) {
    asked.push(`${chunk} ${who}`);
    yield new TextEncoder().encode(chunk);
  }
}

/** Reads all pieces with threads that leave the rest after so many; what came, and who was asked for it. */
async function read(most: number | null): Promise<{ text: string; asked: string[] }> {
  const asked: string[] = [];
  const reader: RowReader = { read: (pieces) => slices(pieces.slice(0, most!), asked, "thread") };
  const readPieces = readRows({
    repository: { readPieces: (pieces) => slices(pieces, asked, "here") },
    ...(most === null ? {} : { reader }),
  });
  let text = "";
  for await (const slice of readPieces(PIECES)) text += new TextDecoder().decode(slice);
  return { text, asked };
}

Deno.test("readRows() reads here what threads leave, each piece once", async () => {
  assert.deepEqual(await read(null), {
    text: "abcd",
    asked: ["a here", "b here", "c here", "d here"],
  });
  assert.deepEqual((await read(0)).asked, ["a here", "b here", "c here", "d here"]);
  assert.deepEqual(await read(1), {
    text: "abcd",
    asked: ["a thread", "b here", "c here", "d here"],
  });
  assert.deepEqual(await read(4), {
    text: "abcd",
    asked: ["a thread", "b thread", "c thread", "d thread"],
  });
});

Deno.test("readRows() does not read here what threads could not read", async () => {
  const asked: string[] = [];
  const reader: RowReader = {
    async *read(pieces) {
      yield* slices(pieces.slice(0, 1), asked, "thread");
      throw new Error("the object was altered");
    },
  };
  const repository = { readPieces: (pieces: readonly Piece[]) => slices(pieces, asked, "here") };
  const reading = Array.fromAsync(readRows({ repository, reader })(PIECES));
  await assert.rejects(reading, /altered/);
  assert.deepEqual(asked, ["a thread"]);
});
