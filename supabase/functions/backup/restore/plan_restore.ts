/**
 * Makes the plan of a restore from what the backup holds and what the target is. Pure: it reads nothing
 * and changes nothing, so the plan that is shown is the plan that is executed.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { Entry } from "../core/model.ts";
import { attachLate } from "./attach_late.ts";
import { planBeside } from "./beside.ts";
import type { BrokenOff } from "./broken_off.ts";
import { addHazard, checkTarget, major, type TargetCheck } from "./check_target.ts";
import { type Diff, diffLive } from "./diff_live.ts";
import { EntryIndex, isRows, isTable, sqlNameOf } from "./entry_index.ts";
import { firingEventTriggers } from "./event_triggers.ts";
import { expectedRoles, isOfRoles } from "./expected_roles.ts";
import { fillPlan } from "./fill_plan.ts";
import { fitBackup } from "./fit_backup.ts";
import { LeaveOuts } from "./leave_out.ts";
import { isOfDatabaseDefaults, isOfMarks, leaveOutGiven } from "./platform_rules.ts";
import { planLoads } from "./plan_loads.ts";
import {
  type BackupFacts,
  type Hazard,
  type HazardName,
  type Missing,
  type RestoreMode,
  type RestorePlan,
  type RestoreRequest,
  type TargetFacts,
} from "./plan_types.ts";
import { isOfCluster, selectEntries, type Selection } from "./select_entries.ts";
import { isFurtherOn, lackedTables, selectLost, unlikeColumns } from "./select_lost.ts";

/** Hazards that a safety backup of the live database undoes. */
const UNDONE: readonly HazardName[] = ["replaces-data", "replaces-object"];

/** What {@linkcode planRestore} works from. */
export interface PlanInput {
  backup: BackupFacts;
  target: TargetFacts;
  request: RestoreRequest;
  /** Whether a safety backup will be made. */
  safetyBackup: boolean;
  /** Over a live database: nothing that stands is replaced, and tables are filled that are empty. @default false */
  fills?: boolean;
  /** With `fills`: what of the target is the work of a restore that was broken off. @default nothing */
  goesOn?: Pick<BrokenOff, "made" | "loads">;
}

/**
 * Plans a restore.
 *
 * @throws {BackupError} `invalid_request` for names that the backup does not hold and for options that
 * exclude each other, `target_not_empty` when mode `empty` is asked for and the target has objects
 */
export function planRestore(given: PlanInput): RestorePlan {
  const { target, request } = given;
  const { backup, leftOut } = fitBackup(given.backup, given);
  const input = { ...given, backup };
  const index = new EntryIndex(backup.entries);
  const live = new EntryIndex(target.entries);
  const selection = request.onlyLost === true
    ? selectLost(index, live, { ...request, made: given.goesOn?.made ?? new Set() })
    : selectEntries(index, request);
  refuseUnknown(selection, backup);
  const targetKind = request.target ?? (target.isSupabase ? "supabase" : "plain");
  const mode = chooseMode(request, target);
  const leaveOuts = new LeaveOuts(index);
  const { selected, needed } = selection;
  const wanted = needed.size === 0 ? selected : new Set([...selected, ...needed]);
  const there = leaveOutGiven({ wanted, live, target, targetKind, backup, request, leaveOuts });
  const check = checkTarget({
    backup,
    index,
    live,
    target,
    request,
    targetKind,
    wanted,
    leaveOuts,
  });
  if (request.onlyLost === true) {
    check.missing.push(...lackedTables(index, live, selection), ...unlikeColumns(live, selection));
  }
  const plan = emptyPlan(input, mode, targetKind, check);
  const restored = index.entries.filter((entry) => wanted.has(entry) && !leaveOuts.has(entry));
  if (mode === "beside") {
    planBeside(plan, { index, live, restored, selection, request, backup, target });
  } else {planInPlace(plan, {
      input,
      index,
      live,
      restored,
      selection,
      given: there,
      leaveOuts,
      check,
    });}
  // What the target keeps in order itself is nothing to report.
  const asked = { has: (entry: Entry) => wanted.has(entry) && !there.has(entry) };
  plan.leftOut = [...leaveOuts.list(asked), ...plan.leftOut];
  for (const entry of restored) plan.leftOut.push(...leftOut.get(entry.identity) ?? []);
  const damaged = plan.load.filter((load) => load.parts.some((part) => part.damaged?.length));
  addHazard(check.hazards, "damaged-backup", damaged.map((load) => load.entry.identity));
  if (mode === "over" && !input.safetyBackup && plan.filling === null) {
    addHazard(check.hazards, "no-safety-backup", [target.database]);
  }
  addHazard(check.hazards, "event-triggers-fire", firingEventTriggers(target, mode));
  plan.hazards = listHazards(check.hazards, input);
  checkLocks(plan, target);
  return plan;
}

function refuseUnknown(selection: Selection, backup: BackupFacts): void {
  if (selection.unknown.length === 0) return;
  throw new BackupError(
    "invalid_request",
    `Cannot restore ${selection.unknown.join(", ")}: backup ${backup.backupId} does not hold it`,
    { hint: "Name schemas as `schema` and tables as `schema.table`, as they were in the source." },
  );
}

function chooseMode(request: RestoreRequest, target: TargetFacts): RestoreMode {
  if (request.intoSchema !== undefined) {
    if (request.mode === undefined || request.mode === "beside") return "beside";
    throw new BackupError(
      "invalid_request",
      `Cannot restore into a schema of another name in mode ${request.mode}: only mode beside does that`,
    );
  }
  if (request.mode === "beside") {
    throw new BackupError("invalid_request", "Cannot restore beside: intoSchema is missing");
  }
  const standing = target.entries.filter((entry) =>
    !isOfDatabaseDefaults(entry) && !isOfMarks(entry)
  );
  if (request.mode === "empty" && standing.length > 0) {
    throw new BackupError(
      "target_not_empty",
      `Cannot restore into ${target.database} as an empty database: it holds ${
        standing[0]!.identity
      }` + (standing.length > 1 ? ` and ${standing.length - 1} more objects` : ""),
      {
        hint:
          "Restore over it (mode over), or into a new database. What a restore that was cut off " +
          "has left needs no way back: make the database anew, or restore over it without a safety " +
          "backup.",
      },
    );
  }
  return request.mode ?? (standing.length === 0 ? "empty" : "over");
}

interface InPlaceInput {
  input: PlanInput;
  index: EntryIndex;
  live: EntryIndex;
  restored: Entry[];
  selection: Selection;
  given: ReadonlySet<Entry>;
  leaveOuts: LeaveOuts;
  check: TargetCheck;
}

function planInPlace(plan: RestorePlan, from: InPlaceInput): void {
  const { input, index, live, restored, selection, given, check } = from;
  const { target, request } = input;
  const definitions = restored.filter((entry) => !isRows(entry) && entry.kind !== "refresh");
  const fills = plan.mode === "over" && input.fills === true;
  const ahead = new Set(fills ? restored.filter((entry) => isAhead(entry, from)) : []);
  const rows = restored.filter((entry) =>
    isRows(entry) && selection.selected.has(entry) && !ahead.has(entry)
  );
  const replacedRows = new Set(
    fills || !live.entries.some(isTable) ? [] : rows.flatMap((entry) => {
      const table = index.tableOf(entry);
      const there = table === undefined ? undefined : live.byIdentity(table.identity);
      return there === undefined ? [] : [there.identity];
    }),
  );
  const diff = diffLive({
    backup: definitions,
    live,
    onlyIfMissing: selection.needed,
    replacedRows,
    role: target.role,
  });
  plan.drop = diff.drop;
  plan.cluster = diff.create.filter(isOfCluster);
  plan.create = attachLate(diff.create.filter((entry) => !isOfCluster(entry)));
  plan.optional = diff.again.map((entry) => entry.key);
  plan.adjust = diff.adjust;
  const dropped = new Set(diff.drop.map((entry) => entry.identity));
  const loads = planLoads({ ...from, rows, dropped, request, target, backup: input.backup, plan });
  const begun = input.goesOn?.loads ?? null;
  // What the restore before left alone is its users' own.
  plan.load = begun === null
    ? loads.load
    : loads.load.filter(({ clear, entry }) => clear === "none" || begun.has(entry.identity));
  plan.clearOnly = loads.clearOnly;
  // One for each table of a restore without rows: too many for arguments of one call.
  plan.leftOut = [...plan.leftOut, ...loads.leftOut];
  plan.missing.push(...loads.missing);
  if (fills) {
    const replaced = [...diff.replaced, ...diff.again, ...diff.inTheWay, ...diff.lostTables];
    const identities = replaced.map((entry) => entry.identity);
    const made = input.goesOn === undefined ? new Set<string>() : input.goesOn.made;
    plan.filling = fillPlan({ plan, restored, live, target, replaced: identities, made });
  }
  plan.refresh = refreshes(from);
  const adjusted = new Set(plan.adjust.map((each) => each.identity));
  const roles = expectedRoles(
    restored,
    new Set([...plan.cluster, ...restored.filter((entry) => adjusted.has(entry.identity))]),
  );
  plan.expect = restored.filter((entry) =>
    !given.has(entry) && !selection.needed.has(entry) && entry.kind !== "refresh" &&
    !ahead.has(entry) &&
    (!isRows(entry) || (entry.kind === "sequence-set" && request.schemaOnly !== true)) &&
    (!isOfRoles(entry) || roles.has(entry))
  );
  plan.lock = plan.mode === "over" ? tablesToLock(plan, live, target) : [];
  addHazards(plan, diff, check);
  for (const entry of diff.managed) plan.missing.push(managedInTheWay(entry));
}

/** Whether it is a counter of the target that stands further on than the backup's: there is no way back. */
function isAhead(entry: Entry, { index, live }: InPlaceInput): boolean {
  const there = live.byIdentity(entry.identity);
  return entry.kind === "sequence-set" && there !== undefined && !isFurtherOn(index, entry, there);
}

function addHazards(plan: RestorePlan, diff: Diff, { hazards }: TargetCheck): void {
  addHazard(hazards, "replaces-object", diff.replaced.map((entry) => entry.identity));
  addHazard(
    hazards,
    "replaces-data",
    plan.load.filter((load) => load.clear !== "none").map((load) => load.entry.identity),
  );
  addHazard(
    hazards,
    "drops-dependent-unknown",
    [...diff.again, ...diff.inTheWay].map((entry) => entry.identity),
  );
  addHazard(hazards, "drops-table-unknown", diff.lostTables.map((entry) => entry.identity));
}

function managedInTheWay(entry: Entry): Missing {
  return {
    what: "object",
    name: entry.identity,
    reason: "it belongs to the platform and depends on objects that would be replaced",
  };
}

/** Every materialized view whose rows may have changed, in the order in which they build on each other. */
function refreshes({ restored, live, index }: InPlaceInput): Entry[] {
  const list = restored.filter((entry) => entry.kind === "refresh");
  const isKnown = ({ identity }: Entry) => index.byIdentity(identity) !== undefined;
  const unknown = live.entries.filter((entry) => entry.kind === "refresh" && !isKnown(entry));
  if (unknown.length === 0) return list;
  const touched = live.withDependents(
    live.entries.filter((entry) => isTable(entry) && isKnown(entry)),
  );
  return [...list, ...unknown.filter((entry) => touched.has(entry))];
}

/** Live tables that are dropped or emptied, or that foreign keys tie to those. */
function tablesToLock(plan: RestorePlan, live: EntryIndex, target: TargetFacts): string[] {
  const names = new Set<string>();
  const add = (entry: Entry | undefined) => {
    if (entry === undefined || entry.kind !== "table" || isForeign(entry)) return;
    if (entry.managed === true && !target.role.superuser && !target.role.replicaMode) return;
    names.add(sqlNameOf(entry));
  };
  for (const entry of plan.drop) {
    add(entry);
    if (entry.kind === "foreign-key") live.dependencies(entry).forEach(add);
  }
  for (const load of plan.load) {
    if (load.clear !== "none") names.add(sqlNameOf(load.entry));
  }
  for (const name of plan.clearOnly) names.add(name);
  return [...names].sort();
}

function isForeign(table: Entry): boolean {
  return table.statements.create.some((sql) => sql.startsWith("CREATE FOREIGN TABLE"));
}

/** Counts the locks that one transaction needs, roughly and not too low. */
function checkLocks(plan: RestorePlan, target: TargetFacts): void {
  const relations = new Map<string, number>();
  for (const entry of [...plan.drop, ...plan.create]) {
    // A table brings its TOAST table and that one's index.
    relations.set(entry.identity, entry.kind === "table" ? 3 : 1);
  }
  for (const load of plan.load) relations.set(load.entry.identity, 3);
  for (const entry of target.entries) {
    if (entry.kind === "index" || entry.kind === "constraint") relations.set(entry.identity, 1);
  }
  plan.locksNeeded = [...relations.values()].reduce((sum, locks) => sum + locks, 0);
  const isInParts = plan.mode === "empty" || plan.filling !== null;
  if (isInParts || plan.locksNeeded <= target.lockCapacity) return;
  plan.missing.push({
    what: "locks",
    name: "max_locks_per_transaction",
    reason:
      `one transaction would need about ${plan.locksNeeded} locks and the server has room for ` +
      `${target.lockCapacity}; raise max_locks_per_transaction, restore schema by schema, or restore ` +
      "into an empty database",
  });
}

function listHazards(found: TargetCheck["hazards"], { request }: PlanInput): Hazard[] {
  const accepted = request.acceptHazards ?? [];
  return [...found].map(([name, objects]) => ({
    name,
    objects: [...objects],
    undoneBySafetyBackup: UNDONE.includes(name),
    accepted: accepted.includes(name),
  }));
}

function emptyPlan(
  { backup, target, request }: PlanInput,
  mode: RestoreMode,
  targetKind: "supabase" | "plain",
  check: TargetCheck,
): RestorePlan {
  return {
    mode,
    backupId: backup.backupId,
    target: targetKind,
    ...(request.onlyLost === true ? { onlyLost: request.tables ?? [] } : {}),
    lock: [],
    cluster: [],
    drop: [],
    create: [],
    optional: [],
    adjust: [],
    clearOnly: [],
    load: [],
    refresh: [],
    borrowRoles: check.borrowRoles,
    unusableRoles: check.unusableRoles,
    beside: null,
    filling: null,
    expect: [],
    locksNeeded: 0,
    hazards: [],
    missing: check.missing,
    leftOut: [],
    sameMajor: major(backup.source.serverVersion) === major(target.serverVersion),
  };
}

/**
 * Refuses a plan that cannot or may not run.
 *
 * @throws {BackupError} `target_unfit` when the target lacks something, `restore_refused` when a hazard
 * that no safety backup undoes was not accepted
 */
export function refuseUnfit(plan: RestorePlan): void {
  if (plan.missing.length > 0) {
    const words = plan.missing.map(({ what, name, reason }) => `${what} ${name}: ${reason}`);
    throw new BackupError("target_unfit", `Cannot restore ${plan.backupId}: ${words.join("; ")}`, {
      hint: "Nothing was changed. Give the target what it lacks and restore again.",
      details: { missing: plan.missing },
    });
  }
  const open = plan.hazards.filter((hazard) => !hazard.accepted && !hazard.undoneBySafetyBackup);
  if (open.length === 0) return;
  throw new BackupError(
    "restore_refused",
    `Cannot restore ${plan.backupId}: these hazards were not accepted: ${
      open.map((hazard) => `${hazard.name} (${shorten(hazard.objects)})`).join("; ")
    }`,
    {
      hint: "Nothing was changed. Look at the plan with dryRun and accept the hazards by name.",
      details: { hazards: open },
    },
  );
}

function shorten(objects: readonly string[]): string {
  const shown = objects.slice(0, 5).join(", ");
  return objects.length > 5 ? `${shown} and ${objects.length - 5} more` : shown;
}
