/**
 * What the repository shows to the layers above it.
 *
 * @module
 */
import type { Consistency, SourceFacts } from "../core/model.ts";

/** Compression of new objects. */
export interface Compression {
  algorithm: "zstd" | "gzip" | "none";
  /** zstd 1–19, gzip 1–9; ignored for none. */
  level: number;
}

/** What kind of content an object holds; part of what its authentication covers. */
export type ObjectKind = "chunk" | "manifest" | "backup";

/** A chunk as written. */
export interface WrittenChunk {
  /** Keyed hash of kind and content: 64 hexadecimal digits. */
  name: string;
  rawBytes: number;
  /** Bytes in storage; 0 when the chunk was there already. */
  storedBytes: number;
  /** Whether this call stored it. */
  created: boolean;
}

/** A sequence of JSON lines, cut into chunks at line ends. */
export interface LinesRef {
  lines: number;
  chunks: { name: string; rawBytes: number; lines: number }[];
}

/** Whose repository it is (requirements: the project's identity). */
export interface RepositoryOwner {
  /** Supabase project ref, null outside Supabase. */
  projectRef: string | null;
  /** PostgreSQL's system identifier and the database's name; null until the first backup. */
  systemIdentifier: string | null;
  database: string | null;
}

/** The content of a backup: where everything of it is. */
export interface Manifest {
  format: 1;
  backupId: string;
  type: "database";
  createdAt: string;
  /** Id of the backup whose chunks were looked at first for reuse; for information. */
  parent: string | null;
  source: SourceFacts;
  consistency: Consistency;
  /** One `Entry` a line, in restore order. */
  entries: LinesRef;
  /** One `TableData` a line. */
  tableData: LinesRef;
  /** One `DataPart` a line, in order of entry and part. */
  dataParts: LinesRef;
  totals: BackupTotals;
}

/** Sums over a backup. */
export interface BackupTotals {
  entries: number;
  tables: number;
  rows: number;
  /** Length of all COPY data and SQL text. */
  rawBytes: number;
  /** Bytes that this backup added to storage. */
  newStoredBytes: number;
  /** Chunks referred to, and how many of them this backup wrote. */
  chunks: number;
  newChunks: number;
}

/** What is listed: a backup that is complete. */
export interface BackupRecord {
  format: 1;
  backupId: string;
  type: "database";
  createdAt: string;
  completedAt: string;
  reason: string | null;
  /** Why it was taken: asked for, by schedule, or by a restore as its way back. */
  origin: "manual" | "scheduled" | "safety";
  /** Name of the manifest object: keyed hash of its content. */
  manifest: string;
  manifestBytes: number;
  source: SourceFacts;
  consistency: Consistency;
  totals: BackupTotals;
  /** Release that wrote it. */
  writtenBy: string;
}

/** What a verification found. */
export interface VerifyReport {
  level: "quick" | "full";
  backups: string[];
  objectsChecked: number;
  bytesRead: number;
  /** Empty when all is well. */
  problems: { object: string; code: string; message: string; backups: string[] }[];
}
