/**
 * Lists of values kept in this process, packed: for what many parts of one job in one process give each other,
 * and nobody else.
 *
 * @module
 */
import { utf8 } from "../../core/bytes.ts";
import { packText, unpackText } from "../../core/packed_json.ts";
import type { LinesRef, Repository } from "../../repository/mod.ts";

/** Keeps lists of values; a repository does, too. */
export type LinesStore = Pick<Repository, "writeLines" | "readLines">;

/** Characters that are packed together. */
const PACK_CHARS = 256 * 1024;

/** An empty store, whose lists live as long as itself. */
export function linesInMemory(): LinesStore {
  const packs: Uint8Array[] = [];
  return {
    async writeLines(values) {
      const ref: LinesRef = { lines: 0, chunks: [] };
      let lines: string[] = [];
      let chars = 0;
      const pack = () => {
        if (lines.length === 0) return;
        const text = lines.join("\n");
        const name = String(packs.push(packText(text)) - 1);
        ref.chunks.push({ name, rawBytes: utf8(text).length, lines: lines.length });
        ref.lines += lines.length;
        lines = [];
        chars = 0;
      };
      for await (const value of values) {
        const line = JSON.stringify(value);
        lines.push(line);
        chars += line.length;
        if (chars >= PACK_CHARS) pack();
      }
      pack();
      return ref;
    },
    async *readLines<T>({ chunks }: LinesRef) {
      for (const { name } of chunks) {
        await Promise.resolve();
        const lines = unpackText(packs[Number(name)]!).split("\n");
        for (const line of lines) yield JSON.parse(line) as T;
      }
    },
  };
}
