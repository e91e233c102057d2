/**
 * Lists of values kept in this process, packed to about a tenth of what they take as objects: for what many
 * parts of one job in one process give each other, and nobody else.
 *
 * @module
 */
import { gunzipSync, gzipSync } from "node:zlib";
import { fromUtf8, utf8 } from "../../core/bytes.ts";
import type { LinesRef, Repository } from "../../repository/mod.ts";

/** Keeps lists of values; a repository does, too. */
export type LinesStore = Pick<Repository, "writeLines" | "readLines">;

/** Characters that are packed together. */
const PACK_CHARS = 256 * 1024;
/** The quickest; a higher one would save a third. */
const LEVEL = 1;

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
        const bytes = utf8(lines.join("\n"));
        const name = String(packs.push(gzipSync(bytes, { level: LEVEL })) - 1);
        ref.chunks.push({ name, rawBytes: bytes.length, lines: lines.length });
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
        const lines = fromUtf8(gunzipSync(packs[Number(name)]!)).split("\n");
        for (const line of lines) yield JSON.parse(line) as T;
      }
    },
  };
}
