/**
 * The words of a restore plan: what was asked, what the target is, what will be done and what stands
 * against it. All plain data, so that a plan can be shown, stored and executed.
 *
 * @module
 */
import type { DataPart, Entry, SourceFacts, TableData } from "../core/model.ts";

/**
 * Where the objects go: `empty` into a database without objects, in parallel; `over` the live one, all
 * or nothing; `beside` it, under another schema.
 */
export type RestoreMode = "empty" | "over" | "beside";

/** What the operator asks for. */
export interface RestoreRequest {
  /** @default `beside` with `intoSchema`, else `empty` or `over` by what the target holds */
  mode?: RestoreMode;
  /** Only these schemas. @default all */
  schemas?: string[];
  /** Only these tables, as `schema.table`. @default all */
  tables?: string[];
  /**
   * Of `tables` only what is lost: the rows of those that have none, and those that are gone, with what fell
   * with them. What stands keeps its definition, and a table that holds rows is refused. @default false
   */
  onlyLost?: boolean;
  /** Restores one schema, or tables of one schema, under this new name. */
  intoSchema?: string;
  /** Names of hazards that are accepted. */
  acceptHazards?: string[];
  /** Whether the platform's own objects are there (`supabase`) or have to be made (`plain`). */
  target?: "supabase" | "plain";
  /** Restores logins that were open when the backup was made. @default false */
  includeAuthSessions?: boolean;
  /** Restores no rows. @default false */
  schemaOnly?: boolean;
  /** Tables whose rows are loaded before others, as patterns of `schema.table`. @default [] */
  criticalTables?: readonly string[];
  /**
   * Id of a restore of the same backup that was broken off: what it chose is chosen, and what it lacks is
   * made and loaded. Nothing that stands is replaced.
   */
  completes?: string;
}

/** What the target is, read before anything is planned. */
export interface TargetFacts {
  database: string;
  /** server_version_num. */
  serverVersion: number;
  encoding: string;
  /** Encodings from which the server can convert into its own. */
  convertibleEncodings: string[];
  /** Whether this is a Supabase project: its own roles and schemas are there. */
  isSupabase: boolean;
  /** The role that restores. */
  role: RestoringRole;
  /** The first role of the cluster, a superuser, to whom its parameters belong. */
  clusterOwner: string;
  /** Available versions by extension name. */
  extensions: Record<string, string[]>;
  roles: TargetRole[];
  accessMethods: string[];
  tablespaces: string[];
  /** Quoted names of label providers that the backup names and the server has not loaded. */
  lackedProviders: string[];
  lackedCollations: LackedCollation[];
  eventTriggers: LiveEventTrigger[];
  /** Oids of tables whose rows the restoring role may not change. */
  unwritableTables: number[];
  /** Locks that one transaction can count on. */
  lockCapacity: number;
  /** Live entries in restore order, as the dumper reads them. */
  entries: Entry[];
}

/** A collation that the server cannot provide. */
export interface LackedCollation {
  /** Identity of the backup's entry, or quoted and qualified name of a built-in one. */
  name: string;
  /** What the server says. */
  reason: string;
}

/** An event trigger of the target that is not disabled. */
export interface LiveEventTrigger {
  name: string;
  owner: string;
  /** Extension that it belongs to, null for none. */
  extension: string | null;
  /** pg_event_trigger.evtenabled: O, R or A. */
  state: string;
}

/** Rights of the restoring role that the plan depends on. */
export interface RestoringRole {
  name: string;
  superuser: boolean;
  createRole: boolean;
  /** May set session_replication_role. */
  replicaMode: boolean;
}

/** A role of the target. */
export interface TargetRole {
  name: string;
  /** The restoring role may act as it, so objects can be given to it. */
  usable: boolean;
  /** The restoring role may make itself a member of it. */
  grantable: boolean;
}

/** What the planner knows of the backup. */
export interface BackupFacts {
  backupId: string;
  source: SourceFacts;
  entries: Entry[];
  tableData: TableData[];
  dataParts: DataPart[];
}

/** Every hazard, with what it means. */
export const HAZARDS = {
  "replaces-data": "rows of existing tables are replaced by those of the backup",
  "replaces-object": "existing objects differ from the backup and are replaced",
  "drops-dependent-unknown":
    "objects that the backup does not know depend on replaced ones and are made again if they still fit, or hold names that it needs and are dropped",
  "drops-table-unknown":
    "tables that the backup does not know depend on replaced objects or hold names that it needs, and are dropped with their rows",
  "changes-managed": "objects of the platform depend on replaced ones",
  "missing-extension":
    "extensions that the target does not offer are left out with all that needs them",
  "missing-tablespace":
    "tablespaces that the target lacks: what lies in them goes into the default one",
  "missing-role":
    "roles that the target lacks cannot be made: what they own stays with the restoring role",
  "lossy-role":
    "objects that the restoring role may not make are left out with all that needs them",
  "event-triggers-fire":
    "event triggers that the restoring role cannot silence may refuse or change what it does",
  "older-target": "the target's major version is older than the source's",
  "no-safety-backup": "there is no safety backup to go back to",
  "damaged-backup": "rows that could not be read at backup time are not in the backup",
} as const;

/** A name of {@linkcode HAZARDS}. */
export type HazardName = keyof typeof HAZARDS;

/** Something that may be lost by this plan. */
export interface Hazard {
  name: HazardName;
  /** What it touches, by identity. */
  objects: string[];
  /** The safety backup can undo it, so it needs no further word. */
  undoneBySafetyBackup: boolean;
  accepted: boolean;
}

/** Something of the backup that will not be restored, and why. */
export interface LeftOut {
  identity: string;
  reason: string;
}

/** Something that the target lacks; a plan with any of these cannot run. */
export interface Missing {
  what:
    | "extension"
    | "role"
    | "right"
    | "encoding"
    | "version"
    | "access-method"
    | "tablespace"
    | "collation"
    | "object"
    | "locks";
  name: string;
  reason: string;
}

/** Rows to load into one table. */
export interface TableLoad {
  entry: Entry;
  /** Null for data of large objects. */
  data: TableData | null;
  parts: DataPart[];
  /** Quoted name of the partitioned table that the rows go through, so that each finds its place. */
  root?: string;
  /** How rows that are there are removed first. */
  clear: "none" | "truncate" | "delete";
  /** Whether foreign keys that stay in place are checked afterwards by a query. */
  checkForeignKeys: boolean;
  /** Large objects that this restore makes: none of their pages is there. */
  areNew?: boolean;
  /** Its rows are loaded before those of others. */
  isCritical?: boolean;
  /** Set when the table stands and was found empty. */
  fill?: TableFill;
}

/** How an empty table that stands is filled in parts. */
export interface TableFill {
  /** What would act on the rows. */
  aside: SetAside;
}

/** What is removed for the length of one transaction. */
export interface SetAside {
  drop: string[];
  make: string[];
}

/** What a plan knows that replaces nothing of a live database. */
export interface Filling {
  /** Identities of what would have to be replaced; with any of them the plan must not be executed. */
  inTheWay: string[];
  /** Quoted names of tables that the restore leaves without rows. */
  mustBeEmpty: string[];
  /** What would react to new objects, and of that what reacts to any statement. */
  definitions: SetAside;
  statements: SetAside;
}

/** Statements that make an existing object equal without making it again. */
export interface Adjustment {
  identity: string;
  statements: string[];
}

/** The plan. The lists are in the order of execution. */
export interface RestorePlan {
  mode: RestoreMode;
  backupId: string;
  /** Whether the platform's objects are taken as given. */
  target: "supabase" | "plain";
  /** The tables asked for, where only what is lost of them is restored. */
  onlyLost?: readonly string[];
  /** Tables that nobody may write to from now on, quoted and qualified. */
  lock: string[];
  /** Roles and other things of the cluster, which no transaction of one database takes back. */
  cluster: Entry[];
  /** Live entries to drop. */
  drop: Entry[];
  /** Entries to make. */
  create: Entry[];
  /** Keys of `create` that are tried and reported when they fail: live ones the backup does not know. */
  optional: string[];
  adjust: Adjustment[];
  /** Tables that are emptied and not loaded, quoted and qualified. */
  clearOnly: string[];
  load: TableLoad[];
  /** Numbers of parts that are in place, by key of their entry: a restore that was broken off loaded them. */
  loaded?: ReadonlyMap<string, ReadonlySet<number>>;
  /** Materialized views to fill, after everything else. */
  refresh: Entry[];
  /** Roles that the restoring role joins for the length of the restore, to give them their objects. */
  borrowRoles: string[];
  /** Roles that cannot be given their objects. */
  unusableRoles: string[];
  /** Set for mode `beside`; `names` are those that the copy takes in the schema while it is made. */
  beside: { schema: string; intoSchema: string; schemaIsLive: boolean; names: string[] } | null;
  /** Set when the plan replaces nothing of a live database, so that it may be executed in parts. */
  filling: Filling | null;
  /** Entries that the target must hold afterwards. */
  expect: Entry[];
  locksNeeded: number;
  hazards: Hazard[];
  missing: Missing[];
  leftOut: LeftOut[];
  /** Whether statements can be compared word by word: source and target have one major version. */
  sameMajor: boolean;
}
