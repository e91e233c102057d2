/**
 * Which rows are loaded into which tables, what is removed first, and which rows cannot be loaded.
 *
 * @module
 */
import { matchesTable } from "../core/match_pattern.ts";
import type { ColumnFacts, DataPart, Entry, TableData, TableFacts } from "../core/model.ts";
import { major } from "./check_target.ts";
import { EntryIndex, sqlNameOf } from "./entry_index.ts";
import { LeaveOuts } from "./leave_out.ts";
import type {
  BackupFacts,
  LeftOut,
  Missing,
  RestorePlan,
  RestoreRequest,
  TableLoad,
  TargetFacts,
} from "./plan_types.ts";
import { isLoginTable } from "./platform_rules.ts";
import { isSameInBinary } from "./same_in_binary.ts";

/** Input of {@linkcode planLoads}. */
export interface LoadsInput {
  backup: BackupFacts;
  index: EntryIndex;
  live: EntryIndex;
  target: TargetFacts;
  request: RestoreRequest;
  leaveOuts: LeaveOuts;
  /** Entries of rows that were asked for. */
  rows: readonly Entry[];
  /** Identities of live objects that are dropped first. */
  dropped: ReadonlySet<string>;
  plan: RestorePlan;
}

/** What the loads add to the plan. */
export interface PlannedLoads {
  load: TableLoad[];
  clearOnly: string[];
  leftOut: LeftOut[];
  missing: Missing[];
}

/** Plans the loading of rows: critical tables first, and the largest ones of each kind. */
export function planLoads(input: LoadsInput): PlannedLoads {
  const { backup, request, rows, plan } = input;
  const result: PlannedLoads = { load: [], clearOnly: [], leftOut: [], missing: [] };
  const data = new Map(backup.tableData.map((each) => [each.entry, each]));
  const parts = new Map<string, DataPart[]>();
  for (const part of backup.dataParts) {
    const list = parts.get(part.entry);
    if (list === undefined) parts.set(part.entry, [part]);
    else list.push(part);
  }
  for (const entry of rows) {
    if (request.schemaOnly === true) {
      result.leftOut.push({ identity: entry.identity, reason: "only definitions are restored" });
    } else if (entry.kind === "sequence-set") {
      plan.create.push(entry);
    } else {
      planLoad(input, entry, {
        data: data.get(entry.key) ?? null,
        parts: parts.get(entry.key) ?? [],
        result,
      });
    }
  }
  const { criticalTables = [] } = request;
  for (const load of result.load) {
    load.isCritical = matchesTable(criticalTables, sqlNameOf(load.entry));
  }
  result.load.sort((a, b) =>
    Number(b.isCritical) - Number(a.isCritical) || bytesOf(b) - bytesOf(a)
  );
  return result;
}

/** Length of the COPY data of one table. */
export function bytesOf(load: TableLoad): number {
  return load.parts.reduce((sum, part) => sum + part.rawBytes, 0);
}

interface LoadContext {
  data: TableData | null;
  parts: DataPart[];
  result: PlannedLoads;
}

function planLoad(input: LoadsInput, entry: Entry, { data, parts, result }: LoadContext): void {
  const { index, live, target, request, dropped } = input;
  if (entry.kind === "large-object-data") {
    const areNew = input.plan.mode === "empty";
    result.load.push({ entry, data, parts, clear: "none", checkForeignKeys: false, areNew });
    return;
  }
  const table = index.tableOf(entry);
  const there = live.byIdentity(table?.identity ?? entry.identity) ??
    live.byIdentity(entry.identity);
  const stays = there !== undefined && !dropped.has(there.identity);
  const ofPlatform = entry.managed === true || entry.extension !== undefined;
  const reason = cannotLoad(input, { entry, table, there, data });
  if (reason !== null) {
    // Of a table of the platform that was empty nothing is left out.
    if (parts.some(({ rows }) => rows > 0)) {
      result.leftOut.push({ identity: entry.identity, reason });
    }
    return;
  }
  const facts = entry.table ?? table?.table;
  if (entry.managed === true && isLoginTable(entry) && request.includeAuthSessions !== true) {
    result.leftOut.push({
      identity: entry.identity,
      reason: "open logins and one-time codes are restored only with includeAuthSessions",
    });
    if (stays && facts !== undefined) result.clearOnly.push(facts.sqlName);
    return;
  }
  if (data !== null) result.missing.push(...formatProblems(data, input, entry));
  const root = rootOf(input, facts?.loadRoot);
  result.load.push({
    entry: facts === undefined ? entry : { ...entry, table: facts },
    data,
    parts,
    ...(root === null ? {} : { root }),
    clear: !stays
      ? "none"
      : ofPlatform || !target.role.superuser && !owns(there, target)
      ? "delete"
      : "truncate",
    checkForeignKeys: stays && ofPlatform,
  });
}

/** The table to load through, when it will be there: a copy of one partition may stand alone. */
function rootOf(input: LoadsInput, loadRoot: TableFacts["loadRoot"]): string | null {
  const { index, live, dropped, plan } = input;
  const root = loadRoot === undefined ? undefined : index.byKey(`pg_class:${loadRoot.oid}`);
  if (loadRoot === undefined || root === undefined) return null;
  const there = plan.create.some((entry) => entry.key === root.key) ||
    (live.byIdentity(root.identity) !== undefined && !dropped.has(root.identity));
  return there ? loadRoot.sqlName : null;
}

function owns(entry: Entry, target: TargetFacts): boolean {
  const owner = entry.owner;
  return owner === null || owner === target.role.name ||
    target.roles.some((role) => role.name === owner && role.usable);
}

/** Why the rows of a table of the platform cannot be replaced; null when they can. */
function cannotLoad(
  { plan, target, live }: LoadsInput,
  { entry, table, there, data }: {
    entry: Entry;
    table: Entry | undefined;
    there: Entry | undefined;
    data: TableData | null;
  },
): string | null {
  if (entry.extension !== undefined && there === undefined && plan.mode === "over") {
    const extension = live.entries.some((each) =>
      each.kind === "extension" && each.name === entry.extension
    );
    if (extension) return "the target's version of the extension has no such table";
  }
  if (entry.managed !== true || plan.target !== "supabase") return null;
  if (there === undefined) {
    return entry.extension === undefined
      ? "the target's release of the platform has no such table"
      : null;
  }
  if (!target.role.superuser && !target.role.replicaMode) {
    return "the restoring role may not set session_replication_role, which rows of the platform need";
  }
  // What is known of a table stands with its rows.
  const facts = live.byIdentity(entry.identity)?.table;
  if (facts === undefined) return null;
  if (target.unwritableTables.includes(facts.oid)) {
    return "the platform keeps its rows itself: the restoring role may not write to it";
  }
  const columns = new Map(facts.columns.map((column) => [column.name, column]));
  const saved =
    (entry.table ?? table?.table)?.columns.filter(({ generated }) => generated === "") ??
      [];
  const lacking = saved.filter(({ name }) => !columns.has(name));
  if (lacking.length > 0) {
    return `the target's release of the platform lacks the columns ${namesOf(lacking)}`;
  }
  const unlike = saved.filter(({ name, typeName }) =>
    !isSameInBinary(typeName, columns.get(name)!.typeName)
  );
  if (unlike.length === 0 || data?.format !== "binary") return null;
  return `the target's release of the platform has other types for the columns ${
    namesOf(unlike)
  }, ` +
    "and the rows are stored in binary form; make a backup with copyFormat text";
}

function namesOf(columns: readonly ColumnFacts[]): string {
  return columns.map(({ name }) => name).join(", ");
}

/** Whether stored rows can be read by the target in the form they have. */
function formatProblems(data: TableData, { target, live }: LoadsInput, entry: Entry): Missing[] {
  if (data.format !== "binary") return [];
  const hint = "; make a backup with copyFormat text";
  if (major(data.serverVersion) > major(target.serverVersion)) {
    return [{
      what: "version",
      name: entry.identity,
      reason: "its rows are stored in binary form, which an older major version may not read" +
        hint,
    }];
  }
  if (data.encoding !== target.encoding) {
    return [{
      what: "encoding",
      name: entry.identity,
      reason: `its rows are stored in binary form in ${data.encoding} and the target has ` +
        target.encoding + hint,
    }];
  }
  return Object.entries(data.extensionVersions).flatMap(([name, version]) => {
    const there = live.entries.find((each) => each.kind === "extension" && each.name === name);
    const found = there?.extensionFacts?.version;
    if (found === version || (found === undefined && target.extensions[name]?.includes(version))) {
      return [];
    }
    return [{
      what: "version" as const,
      name: `extension ${name} ${version}`,
      reason: `rows of ${entry.identity} are stored in its binary form and the target has ` +
        `${found ?? "another version"}${hint}`,
    }];
  });
}
