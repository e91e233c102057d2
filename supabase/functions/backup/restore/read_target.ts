/**
 * Reads what the planner must know of a target, besides its objects.
 *
 * @module
 */
import type { Row, Session } from "../postgres/session.ts";
import type { BackupFacts, LiveEventTrigger, TargetFacts } from "./plan_types.ts";
import { lackedCollations, lackedProviders } from "./probe_target.ts";

const FACTS = `
  select current_database() as database, current_user::text as role,
         pg_catalog.pg_get_userbyid(10)::text as cluster_owner,
         r.rolsuper, r.rolcreaterole,
         pg_catalog.has_parameter_privilege('session_replication_role', 'SET') as replica_mode,
         current_setting('max_locks_per_transaction')::int
           * (current_setting('max_connections')::int
              + current_setting('max_prepared_transactions')::int) as lock_capacity,
         exists (select from pg_catalog.pg_roles where rolname = 'supabase_admin')
           and exists (select from pg_catalog.pg_namespace where nspname = 'auth') as is_supabase,
         array(select am.amname::text from pg_catalog.pg_am am where am.amtype = 't') as access_methods,
         array(select t.spcname::text from pg_catalog.pg_tablespace t) as tablespaces,
         array(select distinct pg_catalog.pg_encoding_to_char(c.conforencoding)::text
                 from pg_catalog.pg_conversion c
                where c.condefault
                  and pg_catalog.pg_encoding_to_char(c.contoencoding) = current_setting('server_encoding')
              ) as encodings
    from pg_catalog.pg_roles r where r.rolname = current_user`;

const EXTENSIONS = `
  select name::text, array_agg(version::text) as versions
    from pg_catalog.pg_available_extension_versions group by name`;

/**
 * A query for the oids of roles that the current one may make itself a member of: from 16 on CREATEROLE
 * reaches only roles that one has ADMIN OPTION on. Nobody joins pg_database_owner but by owning the database.
 */
export function joinableRoles(serverVersion: number): string {
  return serverVersion >= 160000
    ? `select j.oid from pg_catalog.pg_roles j
        where pg_catalog.pg_has_role(j.oid, 'MEMBER WITH ADMIN OPTION')`
    : `select j.oid from pg_catalog.pg_roles j, pg_catalog.pg_roles me
        where me.rolname = current_user and me.rolcreaterole and not j.rolsuper
          and j.rolname <> 'pg_database_owner'`;
}

function rolesQuery(serverVersion: number): string {
  const usable = serverVersion >= 160000 ? "SET" : "MEMBER";
  return `
    select r.rolname::text as name,
           pg_catalog.pg_has_role(r.oid, '${usable}') as usable,
           r.oid in (${joinableRoles(serverVersion)}) as grantable
      from pg_catalog.pg_roles r`;
}

const EVENT_TRIGGERS = `
  select e.evtname::text as name, pg_catalog.pg_get_userbyid(e.evtowner)::text as owner,
         e.evtenabled::text as state,
         (select x.extname::text
            from pg_catalog.pg_depend d join pg_catalog.pg_extension x on x.oid = d.refobjid
           where d.classid = 'pg_catalog.pg_event_trigger'::regclass and d.objid = e.oid
             and d.deptype = 'e') as extension
    from pg_catalog.pg_event_trigger e
   where e.evtenabled <> 'D'
   order by e.evtname`;

const UNWRITABLE = `
  select c.oid
    from pg_catalog.pg_class c
   where c.relkind in ('r', 'p') and c.relpersistence <> 't'
     and c.relnamespace <> 'pg_catalog'::regnamespace
     and not (pg_catalog.has_table_privilege(c.oid, 'INSERT')
              and pg_catalog.has_table_privilege(c.oid, 'DELETE'))
   order by c.oid`;

/** Oids of tables whose rows the session's role may not change with the memberships that it has now. */
export async function readUnwritableTables(session: Session): Promise<number[]> {
  return (await session.query<{ oid: number }>(UNWRITABLE)).map(({ oid }) => oid);
}

/** What a caller has read of a target as the owners of its objects: the live model, by the dumper, and rights. */
export type ReadAsOwners = Pick<TargetFacts, "entries" | "unwritableTables">;

/** Reads the other facts. */
export async function readTargetFacts(
  session: Session,
  { entries, unwritableTables }: ReadAsOwners,
  backup: BackupFacts,
): Promise<TargetFacts> {
  const [facts] = await session.query(FACTS);
  const extensions: Record<string, string[]> = {};
  for (const row of await session.query(EXTENSIONS)) extensions[row.name] = row.versions;
  const roles = await session.query(rolesQuery(session.serverVersion));
  return {
    database: facts!.database,
    serverVersion: session.serverVersion,
    encoding: session.serverEncoding,
    convertibleEncodings: facts!.encodings,
    isSupabase: facts!.is_supabase,
    role: {
      name: facts!.role,
      superuser: facts!.rolsuper,
      createRole: facts!.rolcreaterole,
      replicaMode: facts!.rolsuper || facts!.replica_mode,
    },
    extensions,
    roles: roles.map(({ name, usable, grantable }) => ({ name, usable, grantable })),
    accessMethods: facts!.access_methods,
    tablespaces: facts!.tablespaces,
    lackedProviders: await lackedProviders(session, backup.entries),
    lackedCollations: await lackedCollations(session, backup.entries, entries),
    eventTriggers: await session.query<LiveEventTrigger & Row>(EVENT_TRIGGERS),
    clusterOwner: facts!.cluster_owner,
    unwritableTables,
    lockCapacity: facts!.lock_capacity,
    entries,
  };
}
