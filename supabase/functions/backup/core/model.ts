/**
 * What a backup of a database contains, as plain data: the words that the dumper writes, the
 * repository stores and the restore reads.
 *
 * @module
 */

/** Where in a restore an entry belongs; the names and the meaning are pg_dump's. */
export type Section = "pre-data" | "data" | "post-data";

/** Every kind of thing that has an entry; the closed list that census, order and restore share. */
export const ENTRY_KINDS = [
  // Of the cluster
  "role",
  "role-membership",
  "role-setting",
  "tablespace",
  // Of the database
  "database",
  "database-setting",
  "schema",
  "extension",
  "language",
  "collation",
  "transform",
  "shell-type",
  "type", // base, composite, enum, domain, range
  "cast",
  "function", // functions, procedures, window functions
  "aggregate",
  "access-method",
  "operator",
  "operator-family",
  "operator-class",
  "conversion",
  "text-search-parser",
  "text-search-template",
  "text-search-dictionary",
  "text-search-configuration",
  "foreign-data-wrapper",
  "foreign-server",
  "user-mapping",
  "sequence",
  "table", // ordinary, partitioned and foreign tables
  "view",
  "materialized-view",
  "table-attach",
  "default", // a column default that has to stand alone
  "domain-constraint", // a domain constraint that has to stand alone
  "check-constraint", // a table check (or PG 18 not-null) constraint that has to stand alone
  "large-object",
  // Data
  "table-data",
  "sequence-set",
  "large-object-data",
  // Post-data
  "index",
  "index-attach",
  "constraint", // primary key, unique, exclusion
  "foreign-key",
  "statistics",
  "rule",
  "trigger",
  "policy",
  "row-security", // ENABLE / FORCE ROW LEVEL SECURITY of a table
  "publication",
  "publication-table",
  "publication-schema",
  "subscription",
  "default-acl",
  "event-trigger",
  "refresh", // REFRESH MATERIALIZED VIEW
  "acl", // rights of an object that has no other entry (an extension's member, a managed object)
  "cron-job", // a job of pg_cron, scheduled again through its functions
] as const;

/** One of {@linkcode ENTRY_KINDS}. */
export type EntryKind = typeof ENTRY_KINDS[number];

/** Kinds that live inside a table or view, fall with it and have to be made again with it. */
export const PARTS_OF_RELATIONS: readonly EntryKind[] = [
  "table-attach",
  "default",
  "check-constraint",
  "table-data",
  "index",
  "index-attach",
  "constraint",
  "foreign-key",
  "statistics",
  "rule",
  "trigger",
  "policy",
  "row-security",
  "refresh",
];

/** Kinds of parts of tables, views and domains that stand in their definitions where no loop takes them out. */
export const PARTS_THAT_STAND_ALONE: readonly EntryKind[] = [
  "check-constraint",
  "default",
  "domain-constraint",
  "rule",
];

/**
 * The SQL of an entry, by what it does. Each string is one complete statement without the final
 * semicolon, for a session with an empty search_path; identifiers are always quoted.
 */
export interface EntryStatements {
  /** Makes the object. */
  create: string[];
  /** Removes the object, never with CASCADE. */
  drop: string[];
  /** Gives it to its owner. */
  owner: string[];
  /** Comments on it and on its columns. */
  comment: string[];
  /** Security labels on it and on its columns. */
  label: string[];
  /** Takes and grants rights on it and on its columns; runs in a pass of its own, at the end. */
  acl: string[];
}

/** One item of a backup: one object of the database, or what belongs to one. */
export interface Entry {
  /** Unique within the backup and stable within one server: `<catalog>:<oid>[:<what>]`. */
  key: string;
  kind: EntryKind;
  section: Section;
  /** Schema, unquoted; null for what has none. Sub-objects carry their table's. */
  schema: string | null;
  /** Name, unquoted: the object's own, for sub-objects the table's too, as pg_dump's tag: `t c_check`. */
  name: string;
  /**
   * What identifies the object in any database: kind and quoted, qualified name with argument types,
   * such as `function "public"."f"("integer")`. Matches backup and live objects with each other.
   */
  identity: string;
  /** Owner's role name, unquoted; null where the kind has no owner. */
  owner: string | null;
  statements: EntryStatements;
  /** Keys of the entries that must exist before this one. After ordering every key names an entry. */
  dependsOn: string[];
  /**
   * Identities of objects that it needs and that the backup leaves out, because only chosen tables were
   * asked for.
   */
  outside?: string[];
  /** Of the platform (schema auth, storage, …): its definition is not ours to create on Supabase. */
  managed?: true;
  /** Name of the extension that owns the object; such entries carry data or rights only. */
  extension?: string;
  /** Further facts by kind. */
  table?: TableFacts;
  sequence?: SequenceFacts;
  extensionFacts?: ExtensionFacts;
  largeObject?: { oid: number };
}

/** What the data stage and the restore planner know of a table. */
export interface TableFacts {
  oid: number;
  /** Quoted and qualified. */
  sqlName: string;
  /** pg_class.relkind: r, p, f, v, m, S. */
  relkind: string;
  /** pg_class.relpersistence: p, u, t. */
  persistence: string;
  /** Name of the table access method, null where there is none. */
  accessMethod: string | null;
  /** Bytes on disk of the main fork and of TOAST, in the moment of reading. */
  tableBytes: number;
  toastBytes: number;
  isPartition: boolean;
  hasRowSecurity: boolean;
  forceRowSecurity: boolean;
  /** Live columns in order. */
  columns: ColumnFacts[];
  /** Restricts the rows (configuration tables of extensions): `WHERE …`, else null. */
  condition: string | null;
  /**
   * The root of its partition tree, for a partition whose rows may belong into another one elsewhere:
   * hashes of enum values follow their OIDs. Rows are loaded through the root.
   */
  loadRoot?: { oid: number; sqlName: string };
  /** Entry keys of tables whose rows must be there first (foreign keys), for ordered loading. */
  referencedTables: string[];
}

/** One live column of a table. */
export interface ColumnFacts {
  name: string;
  number: number;
  typeOid: number;
  /** As `format_type` writes it under an empty search_path. */
  typeName: string;
  notNull: boolean;
  /** pg_attribute.attgenerated: empty, s, v. Generated columns have no data. */
  generated: string;
  /** pg_attribute.attidentity: empty, a, d. */
  identity: string;
}

/** A sequence's state. */
export interface SequenceFacts {
  lastValue: string;
  isCalled: boolean;
}

/** An extension's facts for the check of the target. */
export interface ExtensionFacts {
  version: string;
  schema: string;
  relocatable: boolean;
}

/** COPY format of stored rows. */
export type CopyFormat = "text" | "binary";

/** Where a run of bytes is stored: part of a chunk. */
export interface Piece {
  /** Name of the chunk. */
  chunk: string;
  /** Bytes from the start of the chunk's content. */
  offset: number;
  /** Length in bytes. */
  length: number;
}

/** Order-independent fingerprint of rows: their number and the sum of their 64-bit hashes. */
export interface RowsFingerprint {
  rows: string;
  /** Decimal; the sum is exact (numeric), not modulo anything. */
  sum: string;
}

/** Stored rows of a table (or pages of large objects), one range of it. */
export interface DataPart {
  /** Key of the entry (kind table-data or large-object-data). */
  entry: string;
  /** 0, 1, 2 … within the entry. */
  part: number;
  /** ctid range in pages, [from, to), `to` null for the open end; null when read in one piece. */
  pages: { from: number; to: number | null } | null;
  /** Tuple offsets when a single page had to be split: [from, to). */
  tuples?: { from: number; to: number | null };
  format: CopyFormat;
  /** Encoding of text in the data: the server's own. */
  encoding: string;
  /** Rows as the server counted them at the end of COPY. */
  rows: number;
  /** Length of the COPY data. */
  rawBytes: number;
  /** The COPY data, in order: exactly what `COPY … TO file` would have written. */
  pieces: Piece[];
  fingerprint: RowsFingerprint | null;
  /** Rows that the server could not read and that the settings allowed to leave out: ctid and reason. */
  damaged?: { ctid: string; reason: string }[];
}

/** What a binary value is made of, so that it can be read without the database's catalog. */
export type BinaryForm =
  /** A built-in type by its name in pg_type, or `enum`; domains are what they are over. */
  | { kind: "base"; name: string }
  | { kind: "array"; element: BinaryForm; delimiter: string }
  | { kind: "composite"; attributes: BinaryForm[] }
  | { kind: "range"; subtype: BinaryForm }
  | { kind: "multirange"; subtype: BinaryForm };

/** Rows of one table-data entry as a whole: how to load and how to compare them. */
export interface TableData {
  entry: string;
  /** Quoted column names, in the order of the data. */
  columns: string[];
  format: CopyFormat;
  /** Server version (server_version_num) and encoding that wrote the data. */
  serverVersion: number;
  encoding: string;
  /** Type names of the columns: binary data may be loaded only into the same ones. */
  columnTypes: string[];
  /** For binary data: what the values of each column are made of. */
  columnForms?: BinaryForm[];
  /** Extension versions that binary data relies on. */
  extensionVersions: Record<string, string>;
  /** SQL expression that hashes one row of the table aliased `t`; null when rows are only counted. */
  fingerprintExpression: string | null;
}

/** What the source was, as recorded in the manifest. */
export interface SourceFacts {
  systemIdentifier: string;
  database: string;
  /** server_version_num, such as 170010. */
  serverVersion: number;
  serverVersionText: string;
  encoding: string;
  /** How SQL text of this backup is held: `utf8`, or `bytes` (each char code is one byte). */
  sqlText: "utf8" | "bytes";
  profile: "supabase" | "plain";
  readAs: { role: string; superuser: boolean };
  settings: Record<string, string>;
}

/** How far the parts of a backup show one moment. */
export interface Consistency {
  level: "one-moment" | "inconsistent";
  /** Who held locks and snapshot. */
  strategy: "session" | "keeper" | "none";
  snapshotAt: string;
  lsn: string;
  /** Things of the database that the backup leaves out or holds otherwise, in words. */
  remarks: string[];
  /** A restore that was not complete at that moment: what is saved is a half restored database. */
  unfinishedRestore?: { jobId: string; backupId: string; since: string };
}

/** Entries of a database in restore order, with what else the catalog gave. */
export interface DatabaseModel {
  source: SourceFacts;
  entries: Entry[];
  tableData: TableData[];
}
