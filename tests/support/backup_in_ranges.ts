/**
 * A backup in memory of which one table has its rows in several stored parts, as a large one has.
 *
 * @module
 */
import type { DataPart } from "../../supabase/functions/backup/core/model.ts";
import { backupInMemory, type MemoryBackup } from "./memory_backup.ts";

/** Rows in text form, with those of one table in five parts; without roles, which come and go on a shared server. */
export async function backupInRanges(url: string, table: string): Promise<MemoryBackup> {
  const backup = await backupInMemory(url, { copyFormat: "text" });
  const { facts } = backup;
  const large = facts.entries.find(({ kind, name }) => kind === "table-data" && name === table)!;
  const cut = await Promise.all(
    facts.dataParts.map((part) =>
      part.entry === large.key ? rangesOf(backup, part) : [{ part, bytes: null }]
    ),
  );
  const ranges = cut.flat();
  return {
    ...backup,
    facts: {
      ...facts,
      entries: facts.entries.filter(({ kind }) => !kind.startsWith("role")),
      dataParts: ranges.map(({ part }) => part),
    },
    async *readPieces(pieces) {
      for (const piece of pieces) {
        const range = ranges.find(({ part }) => part.pieces[0]?.chunk === piece.chunk);
        if (range?.bytes) yield range.bytes;
        else yield* backup.readPieces([piece]);
      }
    },
  };
}

async function rangesOf(backup: MemoryBackup, whole: DataPart) {
  const slices = await Array.fromAsync(backup.readPieces(whole.pieces));
  const lines = new TextDecoder().decode(await new Blob(slices).bytes()).split(/(?<=\n)/);
  const size = Math.ceil(lines.length / 5);
  return Array.from({ length: 5 }, (_, at) => {
    const some = lines.slice(at * size, (at + 1) * size);
    const bytes = new TextEncoder().encode(some.join(""));
    const pieces = [{ chunk: `range ${at}`, offset: 0, length: bytes.length }];
    // The sum of all stands with the first.
    const sum = at === 0 ? whole.fingerprint!.sum : "0";
    const fingerprint = { rows: String(some.length), sum };
    const numbers = { part: at, rows: some.length, rawBytes: bytes.length };
    return { part: { ...whole, ...numbers, pieces, fingerprint } as DataPart, bytes };
  });
}
