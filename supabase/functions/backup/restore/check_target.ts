/**
 * What the target must offer for a backup, found before anything is touched: version, encoding,
 * extensions, roles, access methods, and the rights of the restoring role.
 *
 * @module
 */
import type { Entry } from "../core/model.ts";
import { EntryIndex } from "./entry_index.ts";
import { lackedTablespaces, liesIn } from "./fit_backup.ts";
import { LeaveOuts } from "./leave_out.ts";
import type {
  BackupFacts,
  HazardName,
  Missing,
  RestoreRequest,
  TargetFacts,
} from "./plan_types.ts";

/** Extensions that only the platform has; `plain` targets do without them. */
const PLATFORM_EXTENSIONS = [
  "pg_graphql",
  "pg_net",
  "pgsodium",
  "supabase_vault",
  "pg_cron",
  "pgjwt",
  "pgmq",
  "pg_tle",
  "wrappers",
  "supautils",
  "supabase-dbdev",
  "index_advisor",
  "hypopg",
];

/** What was found. */
export interface TargetCheck {
  missing: Missing[];
  hazards: Map<HazardName, Set<string>>;
  /** Roles that cannot be given their objects. */
  unusableRoles: string[];
  /** Roles to join for the length of the restore. */
  borrowRoles: string[];
}

/** Input of {@linkcode checkTarget}. */
export interface CheckInput {
  backup: BackupFacts;
  index: EntryIndex;
  live: EntryIndex;
  target: TargetFacts;
  request: RestoreRequest;
  targetKind: "supabase" | "plain";
  /** Entries that the request needs. */
  wanted: ReadonlySet<Entry>;
  leaveOuts: LeaveOuts;
}

/** Looks for everything that would make the restore fail half-way. */
export function checkTarget(input: CheckInput): TargetCheck {
  const check: TargetCheck = {
    missing: [],
    hazards: new Map(),
    unusableRoles: [],
    borrowRoles: [],
  };
  checkVersion(input, check);
  checkEncoding(input, check);
  checkExtensions(input, check);
  checkAccessMethods(input, check);
  checkObjectRights(input, check);
  checkRoles(input, check);
  checkOutside(input, check);
  checkTablespaces(input, check);
  checkCollations(input, check);
  return check;
}

/** Adds objects to a hazard. */
export function addHazard(
  hazards: TargetCheck["hazards"],
  name: HazardName,
  objects: Iterable<string>,
): void {
  const set = hazards.get(name) ?? new Set<string>();
  for (const object of objects) set.add(object);
  if (set.size > 0) hazards.set(name, set);
}

function checkVersion({ backup, target }: CheckInput, check: TargetCheck): void {
  const source = major(backup.source.serverVersion);
  if (source > major(target.serverVersion)) {
    addHazard(check.hazards, "older-target", [
      `PostgreSQL ${source} into PostgreSQL ${major(target.serverVersion)}`,
    ]);
  }
}

/** Major version of a server_version_num. */
export function major(serverVersion: number): number {
  return Math.floor(serverVersion / 10000);
}

function checkEncoding({ backup, target }: CheckInput, check: TargetCheck): void {
  const { encoding, sqlText } = backup.source;
  const same = encoding === target.encoding;
  // SQL text held as bytes means nothing in another encoding.
  const convertible = sqlText === "utf8" && target.convertibleEncodings.includes(encoding);
  if (same || convertible) return;
  check.missing.push({
    what: "encoding",
    name: encoding,
    reason: `the server has no conversion from ${encoding} to ${target.encoding}; ` +
      `make the target database with ENCODING '${encoding}'`,
  });
}

function checkExtensions(input: CheckInput, check: TargetCheck): void {
  const { index, live, target, request, targetKind, wanted, leaveOuts } = input;
  const accepted = request.acceptHazards?.includes("missing-extension") === true;
  for (const entry of index.entries) {
    if (entry.kind !== "extension" || !wanted.has(entry)) continue;
    if (live.byIdentity(entry.identity) !== undefined) continue;
    if (target.extensions[entry.name] !== undefined) continue;
    const stubbed = targetKind === "plain" && PLATFORM_EXTENSIONS.includes(entry.name);
    if (!stubbed && !accepted) {
      check.missing.push({
        what: "extension",
        name: entry.name,
        reason: "the target server does not offer it; install it, or accept the hazard " +
          "missing-extension to leave it out with all that needs it",
      });
      continue;
    }
    const out = leaveOuts.withDependents(entry, "which the target does not offer");
    if (entry.name === "pg_cron") {
      for (const job of index.entries) {
        if (job.kind === "cron-job") leaveOuts.withDependents(job, "the target has no pg_cron");
      }
    }
    const tables = out.filter((each) => each.kind === "table" && each.managed !== true);
    if (accepted) addHazard(check.hazards, "missing-extension", [entry.identity]);
    // A table of the user that falls with a platform extension is a loss that needs a word.
    else addHazard(check.hazards, "missing-extension", tables.map((table) => table.identity));
  }
}

function checkAccessMethods({ index, target, wanted, leaveOuts }: CheckInput, check: TargetCheck) {
  const own = new Set(
    index.entries.filter((entry) => entry.kind === "access-method").map((entry) => entry.name),
  );
  const names = new Set<string>();
  for (const entry of wanted) {
    const name = entry.table?.accessMethod ?? null;
    if (name === null || leaveOuts.has(entry)) continue;
    if (!own.has(name) && !target.accessMethods.includes(name)) names.add(name);
  }
  const fromExtensions = index.entries.some((entry) => entry.kind === "extension");
  for (const name of names) {
    if (fromExtensions && !["heap"].includes(name)) continue;
    check.missing.push({ what: "access-method", name, reason: "tables of the backup use it" });
  }
}

function checkTablespaces(input: CheckInput, check: TargetCheck): void {
  const { index, target, wanted, leaveOuts } = input;
  for (const name of lackedTablespaces(index.entries, target)) {
    const inside = [...wanted].find((entry) => !leaveOuts.has(entry) && liesIn(entry, name));
    if (inside === undefined) continue;
    check.missing.push({
      what: "tablespace",
      name,
      reason: `${inside.identity} lies in it; make it on the server, or accept the hazard ` +
        "missing-tablespace to put all that lies in it into the default one",
    });
  }
}

function checkCollations({ target, wanted, leaveOuts }: CheckInput, check: TargetCheck): void {
  for (const { name, reason } of target.lackedCollations) {
    const using = [...wanted].find((entry) =>
      !leaveOuts.has(entry) &&
      (entry.identity === name || entry.statements.create.some((sql) => sql.includes(name)))
    );
    if (using === undefined) continue;
    const where = using.identity === name ? "" : `${using.identity} uses it and `;
    check.missing.push({
      what: "collation",
      name,
      reason: `${where}the target server cannot provide it: ${reason}`,
    });
  }
}

/** Looks for what a backup of chosen tables needs and does not hold. */
function checkOutside(input: CheckInput, check: TargetCheck): void {
  const { live, request, wanted, leaveOuts } = input;
  const neededBy = new Map<string, string>();
  for (const entry of wanted) {
    // A copy beside does without foreign keys to what is not copied.
    const isDoneWithout = request.intoSchema !== undefined && entry.kind === "foreign-key";
    if (leaveOuts.has(entry) || isDoneWithout) continue;
    for (const identity of entry.outside ?? []) {
      if (live.byIdentity(identity) === undefined && !neededBy.has(identity)) {
        neededBy.set(identity, entry.identity);
      }
    }
  }
  for (const [identity, needing] of neededBy) {
    check.missing.push({
      what: "object",
      name: identity,
      reason:
        `${needing} needs it, and the backup holds chosen tables only; make it in the target, ` +
        "or make a backup that includes its whole schema, or everything",
    });
  }
}

/** Leaves out what the restoring role may not make, unless it is there already. */
function checkObjectRights(input: CheckInput, check: TargetCheck): void {
  const { index, live, target, wanted, leaveOuts } = input;
  if (target.role.superuser) return;
  for (const entry of index.entries) {
    if (!wanted.has(entry) || leaveOuts.has(entry) || !needsSuperuser(entry)) continue;
    if (live.byIdentity(entry.identity) !== undefined) continue;
    const out = leaveOuts.withDependents(entry, "which only a superuser can make");
    const lost = out.filter((each) => each.kind === "table").map((each) => each.identity);
    // Losing rows needs a word; losing definitions is said in the report.
    addHazard(check.hazards, "lossy-role", lost);
  }
}

/** Whether PostgreSQL lets only a superuser make the object. */
export function needsSuperuser(entry: Entry): boolean {
  // Asked only for kinds of which it says something: to unpack it of all would take time.
  const create = () => entry.statements.create.join("\n");
  switch (entry.kind) {
    case "access-method":
    case "event-trigger":
    case "foreign-data-wrapper":
    case "language":
    case "operator-class":
    case "operator-family":
    case "shell-type":
    case "subscription":
    case "tablespace":
    case "text-search-parser":
    case "text-search-template":
      return create() !== "" && entry.extension === undefined;
    case "function":
      return /\sLANGUAGE "?(c|internal)"?\s/i.test(create()) || /\sLEAKPROOF\b/.test(create());
    case "aggregate":
    case "conversion":
      return false;
    case "type":
      return /^CREATE TYPE [^(]*\(\s*(INTERNALLENGTH|INPUT)/i.test(create());
    case "cast":
      return / WITHOUT FUNCTION/.test(create());
    case "publication":
      return / FOR ALL TABLES/.test(create());
    case "publication-schema":
      return true;
    default:
      return false;
  }
}

function checkRoles(input: CheckInput, check: TargetCheck): void {
  const { index, target, request, wanted, leaveOuts } = input;
  const { role } = target;
  const there = new Map(target.roles.map((each) => [each.name, each]));
  const inBackup = new Set(
    index.entries.filter((entry) => entry.kind === "role").map((entry) => entry.name),
  );
  const mayMake = role.superuser || role.createRole;
  const accepted = request.acceptHazards?.includes("missing-role") === true;
  const owners = new Set<string>();
  for (const entry of wanted) {
    if (leaveOuts.has(entry) || entry.owner === null || entry.owner === role.name) continue;
    if (entry.statements.owner.length > 0) owners.add(entry.owner);
  }
  for (const owner of owners) {
    const known = there.get(owner);
    if (known === undefined && !(mayMake && inBackup.has(owner))) {
      check.unusableRoles.push(owner);
      if (accepted) addHazard(check.hazards, "missing-role", [owner]);
      else {
        check.missing.push({
          what: "role",
          name: owner,
          reason: "it owns objects of the backup, is not in the target and cannot be made by the " +
            "restoring role; create it, or accept the hazard missing-role",
        });
      }
    } else if (role.superuser || known?.usable === true) continue;
    else if (known === undefined || known.grantable) check.borrowRoles.push(owner);
    else check.unusableRoles.push(owner);
  }
}
