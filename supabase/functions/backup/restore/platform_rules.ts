/**
 * What a target has of its own: the defaults of every database, the platform's objects and roles.
 *
 * @module
 */
import type { Entry } from "../core/model.ts";
import { MARKS_TABLE } from "../postgres/restore_traces.ts";
import { EntryIndex, isRows } from "./entry_index.ts";
import { LeaveOuts } from "./leave_out.ts";
import type { BackupFacts, RestoreRequest, TargetFacts } from "./plan_types.ts";
import { isOfCluster } from "./select_entries.ts";

/** Roles that the platform makes and keeps in order; a restore never alters them. */
const PLATFORM_ROLES = [
  "anon",
  "authenticated",
  "authenticator",
  "dashboard_user",
  "pgbouncer",
  "pgsodium_keyholder",
  "pgsodium_keyiduser",
  "pgsodium_keymaker",
  "pgtle_admin",
  "postgres",
  "service_role",
  "supabase_admin",
  "supabase_auth_admin",
  "supabase_etl_admin",
  "supabase_functions_admin",
  "supabase_privileged_role",
  "supabase_read_only_user",
  "supabase_realtime_admin",
  "supabase_replication_admin",
  "supabase_storage_admin",
];

/** Tables of open logins and one-time codes: whoever holds them is logged in. */
const LOGIN_TABLES = [
  "flow_state",
  "mfa_amr_claims",
  "mfa_challenges",
  "oauth_authorizations",
  "one_time_tokens",
  "refresh_tokens",
  "saml_relay_states",
  "sessions",
];

/** Whether an entry is there in every new database, so that it does not make a target non-empty. */
export function isOfDatabaseDefaults(entry: Entry): boolean {
  if (isOfCluster(entry)) return true;
  if (["database", "database-setting", "acl"].includes(entry.kind)) return true;
  if (entry.kind === "schema") return entry.name === "public";
  if (entry.kind === "extension") return entry.name === "plpgsql";
  if (entry.kind === "language") return ["plpgsql", "internal", "c", "sql"].includes(entry.name);
  return false;
}

/** A restore that was broken off before it made anything has left no more than these. */
export function isOfMarks({ kind, schema, name }: Entry): boolean {
  const [ours, marks] = MARKS_TABLE.split(".");
  return kind === "schema" ? name === ours : schema === ours && name.startsWith(marks!);
}

/** Whether rows of this table are open logins. */
export function isLoginTable(entry: Entry): boolean {
  return entry.schema === "auth" && LOGIN_TABLES.includes(entry.name);
}

/** Input of {@linkcode leaveOutGiven}. */
export interface GivenInput {
  wanted: ReadonlySet<Entry>;
  live: EntryIndex;
  target: TargetFacts;
  targetKind: "supabase" | "plain";
  backup: BackupFacts;
  request: RestoreRequest;
  leaveOuts: LeaveOuts;
}

/** Leaves out what the target has and keeps in order itself; returns those entries. */
export function leaveOutGiven(input: GivenInput): Set<Entry> {
  const { wanted, live, target, targetKind, backup, leaveOuts } = input;
  const given = new Set<Entry>();
  const give = (entry: Entry, reason: string) => {
    leaveOuts.only(entry, reason);
    given.add(entry);
  };
  const roles = new Set(target.roles.map((role) => role.name));
  const memberships = new Set(
    live.entries.filter((each) => each.kind === "role-membership").map((each) => each.name),
  );
  const platform = backup.source.profile === "supabase" && targetKind === "supabase";
  for (const entry of wanted) {
    if (entry.managed === true && platform && !isRows(entry)) {
      give(entry, "the platform makes it itself");
    } else if (entry.kind === "role" && roles.has(entry.name)) {
      give(entry, "the target has a role of that name, which stays as it is");
    } else if (isOfCluster(entry) && platform && namesPlatformRole(entry)) {
      give(entry, "roles of the platform are never altered");
    } else if (entry.kind === "role-membership" && memberships.has(entry.name)) {
      give(entry, "the target has it");
    } else if (entry.kind === "tablespace" && target.tablespaces.includes(entry.name)) {
      give(entry, "the target has it");
    } else if (entry.kind === "tablespace") {
      leaveOuts.only(entry, "a tablespace is a place on a server; make it there");
    } else if (isDatabaseWide(entry) && input.request.schemas?.length) {
      give(entry, "only chosen schemas are restored");
    }
  }
  return given;
}

function isDatabaseWide(entry: Entry): boolean {
  return entry.kind === "database" || entry.kind === "database-setting";
}

/** The role that an entry of the cluster changes belongs to the platform. */
function namesPlatformRole(entry: Entry): boolean {
  if (entry.kind === "tablespace") return false;
  return PLATFORM_ROLES.some((role) =>
    entry.name === role || entry.name.startsWith(`${role} `) || entry.identity.endsWith(`"${role}"`)
  );
}
