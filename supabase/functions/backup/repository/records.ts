/**
 * What is written of a backup and of a recovery point: manifests, which say where everything is, and records,
 * which make them exist.
 *
 * @module
 */
import type { ItemSourceFacts, ItemType } from "../core/items.ts";
import type { Consistency, SourceFacts } from "../core/model.ts";

/** A sequence of JSON lines, cut into chunks at line ends. */
export interface LinesRef {
  lines: number;
  chunks: { name: string; rawBytes: number; lines: number }[];
}

/** What a backup is of. */
export type BackupType = "database" | ItemType;

/** What all manifests have. */
interface ManifestHead {
  format: 1;
  backupId: string;
  createdAt: string;
  /** Id of the backup whose chunks were looked at first for reuse; for information. */
  parent: string | null;
}

/** The content of a backup of a database: where everything of it is. */
export interface DatabaseManifest extends ManifestHead {
  type: "database";
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

/** A run of items, in order of key. */
export interface ItemPageRef {
  /** Key of the first and of the last item. */
  first: string;
  last: string;
  /** One `SavedItem` a line. */
  items: LinesRef;
  /** Chunks that the items' contents are in, each once. Pages of earlier releases do not say it. */
  chunks?: string[];
  /** Length of all contents. */
  rawBytes?: number;
  /**
   * What the source's listing said of all keys behind the page before, up to `last`. A page whose digest is
   * still the same is referred to as it is. Not there where an item failed, vanished or was another when read.
   */
  digest?: string;
}

/** The content of a backup of items. */
export interface ItemManifest extends ManifestHead {
  type: ItemType;
  source: ItemSourceFacts;
  /** All items, in order of key. */
  pages: ItemPageRef[];
  /** Keys that the parent had and the source has no more, one a line. */
  deleted: LinesRef;
  totals: ItemTotals;
}

/** Where everything of a backup is. */
export type Manifest = DatabaseManifest | ItemManifest;

/** Sums over a backup of a database. */
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

/** Sums over a backup of items. */
export interface ItemTotals {
  items: number;
  /** Items that were the same in the parent and were not read. */
  unchanged: number;
  /** Items of the parent that are no more. */
  deleted: number;
  /** Items that were listed and could not be saved; each says why. */
  failed: number;
  /** Items that were listed and were gone when they were to be read. */
  vanished: number;
  /** Length of all contents. */
  rawBytes: number;
  newStoredBytes: number;
  chunks: number;
  newChunks: number;
}

/** What all records have. */
interface RecordHead {
  format: 1;
  backupId: string;
  createdAt: string;
  completedAt: string;
  reason: string | null;
  /** Why it was taken: asked for, by schedule, or by a restore as its way back. */
  origin: "manual" | "scheduled" | "safety";
  /** Name of the manifest object: keyed hash of its content. */
  manifest: string;
  manifestBytes: number;
  /** Release that wrote it. */
  writtenBy: string;
}

/** What is listed of a backup of a database that is complete. */
export interface DatabaseRecord extends RecordHead {
  type: "database";
  source: SourceFacts;
  consistency: Consistency;
  totals: BackupTotals;
}

/** What is listed of a backup of items that is complete. */
export interface ItemRecord extends RecordHead {
  type: ItemType;
  source: Pick<ItemSourceFacts, "projectRef">;
  /** Something that was there could not be saved: items that failed, or parts of the source. */
  partial: boolean;
  /** What is missing or was left out, in words. */
  remarks: string[];
  totals: ItemTotals;
}

/** What is listed: a backup that is complete. */
export type BackupRecord = DatabaseRecord | ItemRecord;

/** A manifest of one of some types. */
export type ManifestOf<T extends BackupType> = T extends "database" ? DatabaseManifest
  : ItemManifest;

/** A record of one of some types. */
export type RecordOf<T extends BackupType> = T extends "database" ? DatabaseRecord : ItemRecord;

/** One type of backup within a recovery point. */
export interface PointComponent {
  type: BackupType;
  /**
   * `skipped`: not wanted, or nothing to save it with, for the reason given; `expired`: retention let it go
   * since, which is never stored.
   */
  status: "completed" | "partial" | "failed" | "skipped" | "expired";
  /** The backup; null when there is none. */
  backupId: string | null;
  /** The moment that it shows, or the beginning and the end of reading it; null when there is none. */
  from: string | null;
  to: string | null;
  /** Why it is not complete. */
  reason: string | null;
}

/** Backups of several types that belong together. */
export interface RecoveryPoint {
  format: 1;
  pointId: string;
  createdAt: string;
  completedAt: string;
  reason: string | null;
  origin: "manual" | "scheduled";
  createdBy: string | null;
  /** `partial`: something of it is missing; `failed`: there is nothing of it. */
  status: "completed" | "partial" | "failed";
  components: PointComponent[];
  /** What shows one moment together and what does not, in words. */
  consistency: string[];
  writtenBy: string;
}

/** What is in `points/`, newest first. */
export interface PointList {
  points: RecoveryPoint[];
  damaged: { pointId: string; code: string; message: string }[];
}
