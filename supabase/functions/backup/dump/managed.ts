/**
 * Which entries belong to the Supabase platform: what it makes itself in every project, as opposed
 * to what users add inside its schemas.
 *
 * @module
 */
import type { Draft, DumpContext } from "./context.ts";
import { oidArray } from "./families/relations.ts";

const TRIGGER_FUNCTIONS = `
  select t.oid, p.pronamespace as schema
    from unnest($1::oid[]) wanted(oid)
    join pg_trigger t on t.oid = wanted.oid
    join pg_proc p on p.oid = t.tgfoid
   where not t.tgisinternal`;

/** Tables of the platform whose policies are the user's. */
const POLICY_TABLES = ["storage.objects", "storage.buckets", "realtime.messages"];

/** Schemas that the platform makes for extensions and in which users keep things of their own. */
const SHARED_SCHEMAS = ["cron", "extensions", "pgmq"];

/** Schemas whose rows belong to the platform, to a cache or to a key that stays behind. */
const SCHEMAS_WITHOUT_ROWS = [
  "_analytics",
  "_realtime",
  "_supavisor",
  "cron",
  "etl",
  "graphql",
  "graphql_public",
  "pgbouncer",
  "pgsodium",
  "pgsodium_masks",
  "pgtle",
  "realtime",
  "repack",
  "vault",
];

/** Tables in which the platform notes which of its own migrations have run. */
const TABLES_WITHOUT_ROWS = [
  "auth.schema_migrations",
  "storage.migrations",
  "supabase_functions.migrations",
];

/** Marks the drafts in managed schemas, except the user's own policies, triggers and functions. */
export async function markManaged(context: DumpContext): Promise<void> {
  if (context.options.profile !== "supabase") return;
  const managed = new Set<string>();
  const managedOids = new Set<number>();
  for (const schema of context.schemas.values()) {
    if (!schema.managed) continue;
    managed.add(schema.name);
    managedOids.add(schema.oid);
  }
  const asked = [...context.drafts.all()]
    .filter(({ kind, schema }) => kind === "trigger" && managed.has(schema ?? ""))
    .map(({ oid }) => oid);
  const triggers = new Map<number, number>();
  for (const row of await context.session.query(TRIGGER_FUNCTIONS, [oidArray(asked)])) {
    triggers.set(row.oid, row.schema);
  }

  for (const draft of context.drafts.all()) {
    const isSchema = draft.catalog === "pg_namespace";
    const schema = isSchema ? draft.name : draft.schema;
    if (schema === null || !managed.has(schema)) continue;
    if (isUsersPolicy(draft)) continue;
    if (draft.kind === "trigger" && !managedOids.has(triggers.get(draft.oid) ?? -1)) continue;
    if (!isSchema && SHARED_SCHEMAS.includes(schema)) continue;
    draft.managed = true;
  }
  leaveOutRows(context);
}

/** Whether the platform's rows of a table or sequence are left out. */
export function hasRowsOfNoUse(
  { options }: DumpContext,
  { schema, name }: { schema: string | null; name: string },
): boolean {
  return options.profile === "supabase" && (SCHEMAS_WITHOUT_ROWS.includes(schema ?? "") ||
    TABLES_WITHOUT_ROWS.includes(`${schema}.${name}`));
}

/** Takes out the rows that no other project could use, and says so where users may miss them. */
function leaveOutRows(context: DumpContext): void {
  for (const [number, draft] of context.drafts.numbered()) {
    if (draft.kind !== "table-data" && draft.kind !== "sequence-set") continue;
    if (!hasRowsOfNoUse(context, draft)) continue;
    context.drafts.remove(number);
    if (draft.schema === "vault" && draft.name === "secrets") {
      context.remarks.push(
        "Secrets of Vault are not in the backup: they are of no use without the project's root key",
      );
    }
  }
}

/** The name of a policy's draft begins with its table's. */
function isUsersPolicy(draft: Draft): boolean {
  if (draft.kind !== "policy") return false;
  return POLICY_TABLES.some((table) => `${draft.schema}.${draft.name}`.startsWith(`${table} `));
}
