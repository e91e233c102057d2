/**
 * Which entries belong to the Supabase platform: what it makes itself in every project, as opposed
 * to what users add inside its schemas.
 *
 * @module
 */
import type { Draft, DumpContext } from "./context.ts";

const TRIGGER_FUNCTIONS = `
  select t.oid, p.pronamespace as schema
    from pg_trigger t join pg_proc p on p.oid = t.tgfoid
   where not t.tgisinternal`;

/** Tables of the platform whose policies are the user's. */
const POLICY_TABLES = ["storage.objects", "storage.buckets", "realtime.messages"];

/** Schemas of the platform in which users keep things of their own. */
const SHARED_SCHEMAS = ["cron", "extensions"];

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
  const triggers = new Map<number, number>();
  for (const row of await context.session.query(TRIGGER_FUNCTIONS)) {
    triggers.set(row.oid, row.schema);
  }

  for (const draft of context.drafts.all()) {
    const schema = draft.kind === "schema" ? draft.name : draft.schema;
    if (schema === null || !managed.has(schema)) continue;
    if (isUsersPolicy(draft)) continue;
    if (draft.kind === "trigger" && !managedOids.has(triggers.get(draft.oid) ?? -1)) continue;
    if (draft.kind !== "schema" && SHARED_SCHEMAS.includes(schema)) continue;
    draft.managed = true;
  }
}

/** The name of a policy's draft begins with its table's. */
function isUsersPolicy(draft: Draft): boolean {
  if (draft.kind !== "policy") return false;
  return POLICY_TABLES.some((table) => `${draft.schema}.${draft.name}`.startsWith(`${table} `));
}
