/**
 * Small repositories for tests: keys, a manifest's fixed parts, and a backup of given parts.
 *
 * @module
 */
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import type { DataPart, Piece } from "../../supabase/functions/backup/core/model.ts";
import type {
  BackupRecord,
  DatabaseManifest,
  Repository,
} from "../../supabase/functions/backup/repository/mod.ts";

/** A key for tests only. */
export const SAMPLE_KEY = new Secret(
  "00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef",
);

/** The facts of a source that does not exist. */
export const SAMPLE_SOURCE: DatabaseManifest["source"] = {
  systemIdentifier: "7000000000000000001",
  database: "postgres",
  serverVersion: 170010,
  serverVersionText: "17.10",
  encoding: "UTF8",
  sqlText: "utf8",
  profile: "plain",
  readAs: { role: "postgres", superuser: true },
  settings: {},
};

/** Writes a backup of one table whose rows are the given parts, and commits it. */
export async function writeSampleBackup(
  repository: Repository,
  options: { backupId: string; parts: Uint8Array[]; targetBytes?: number },
): Promise<BackupRecord> {
  const { backupId, parts, targetBytes } = options;
  const writer = repository.pieceWriter(targetBytes === undefined ? {} : { targetBytes });
  const promises: Promise<Piece[]>[] = [];
  for (const part of parts) {
    await writer.append(part);
    promises.push(writer.endPart());
  }
  await writer.finish();
  const pieces = await Promise.all(promises);
  const dataParts = parts.map((bytes, part): DataPart => ({
    entry: "pg_class:1:data",
    part,
    pages: null,
    format: "text",
    encoding: "UTF8",
    rows: 1,
    rawBytes: bytes.length,
    pieces: pieces[part] ?? [],
    fingerprint: null,
  }));
  const manifest: DatabaseManifest = {
    format: 1,
    backupId,
    type: "database",
    createdAt: "2026-01-01T00:00:00.000Z",
    parent: null,
    source: SAMPLE_SOURCE,
    consistency: {
      level: "one-moment",
      strategy: "session",
      snapshotAt: "2026-01-01T00:00:00.000Z",
      lsn: "0/1",
      remarks: [],
    },
    entries: await repository.writeLines([{ key: "pg_class:1", name: "t" }]),
    tableData: await repository.writeLines([{ entry: "pg_class:1:data" }]),
    dataParts: await repository.writeLines(dataParts),
    totals: {
      entries: 1,
      tables: 1,
      rows: parts.length,
      rawBytes: repository.written.rawBytes,
      newStoredBytes: repository.written.newStoredBytes,
      chunks: repository.written.chunks,
      newChunks: repository.written.newChunks,
    },
  };
  return await repository.commitBackup(manifest, {
    reason: null,
    origin: "manual",
    completedAt: "2026-01-01T00:00:01.000Z",
    writtenBy: "test",
  });
}

/** Reads all parts of a backup back. */
export async function readSampleBackup(
  repository: Repository,
  idOrLatest: string,
): Promise<Uint8Array[]> {
  const { manifest } = await repository.readBackup(idOrLatest);
  const parts: Uint8Array[] = [];
  for await (const part of repository.readLines<DataPart>(manifest.dataParts)) {
    const bytes = new Uint8Array(part.rawBytes);
    let at = 0;
    for await (const piece of repository.readPieces(part.pieces)) {
      bytes.set(piece, at);
      at += piece.length;
    }
    parts.push(bytes.subarray(0, at));
  }
  return parts;
}

/** Bytes that do not compress and are the same for the same seed. */
export function noise(length: number, seed: number): Uint8Array {
  const result = new Uint8Array(length);
  let state = seed * 2654435761 + 1;
  for (let i = 0; i < length; i++) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9 | 0;
    result[i] = state >>> 24;
  }
  return result;
}
