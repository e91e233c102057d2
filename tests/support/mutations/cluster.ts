/**
 * Changes of what belongs to the cluster and to the database as a whole.
 *
 * @module
 */
import { type MutationList, updates } from "./mutation_list.ts";

// Rights that citext's functions had when the extension was made: of the second one only. Labels go in
// directly, because no provider of labels is loaded.
const MARKS = `
    revoke execute on function public.citext(inet) from public;
    revoke execute on function public.citext(boolean) from public;
    insert into pg_catalog.pg_init_privs
      select oid, 'pg_proc'::regclass, 0, 'e', proacl from pg_proc
       where oid = 'public.citext(boolean)'::regprocedure;
    insert into pg_catalog.pg_seclabel values
      ('s.t'::regclass, 'pg_class'::regclass, 0, 'mutation', 'secret');
    insert into pg_catalog.pg_shseclabel
      select oid, 'pg_authid'::regclass, 'mutation', 'secret' from pg_authid
       where rolname = 'mutation_role'
         and not exists (select from pg_shseclabel where provider = 'mutation');`;

/** Cluster and database. */
export const CLUSTER: MutationList = {
  setup: `
  create schema s;
  create table s.t (a int primary key, b int);
  create table s.u (a int);
  create function s.evt() returns event_trigger language plpgsql as 'begin end';
  create function s.evt2() returns event_trigger language plpgsql as 'begin end';
  create event trigger e on ddl_command_end when tag in ('CREATE TABLE') execute function s.evt();
  create foreign data wrapper w;
  create foreign data wrapper w2;
  create function s.call() returns language_handler language c as '$libdir/plpgsql', 'plpgsql_call_handler';
  create function s.call2() returns language_handler language c as '$libdir/plpgsql', 'plpgsql_call_handler';
  create language l handler s.call;
  create function s.inline_handler(internal) returns void language c
    as '$libdir/plpgsql', 'plpgsql_inline_handler';
  create function s.validator(oid) returns void language c
    as '$libdir/plpgsql', 'plpgsql_validator';
  create server v foreign data wrapper w;
  create user mapping for public server v;
  create publication p for table s.t where (a > 1);
  create publication q;
  create subscription c connection 'host=h' publication p with (connect = false, slot_name = none);
  select lo_create(77);
  alter default privileges in schema s grant select on tables to mutation_role;
  create function s.fdw_handler() returns fdw_handler language c
    as '$libdir/postgres_fdw', 'postgres_fdw_handler';
  comment on schema s is 'schema';
  comment on column s.t.a is 'column';
  comment on role mutation_role is 'role';
  create extension citext schema public;
  create table public.settings (a int);
  alter extension citext add table public.settings;
  create function s.dependent() returns int language sql as 'select 1';
${MARKS}`,
  changes: {
    "pg_authid.rolname": "alter role mutation_role rename to mutation_other",
    "pg_authid.rolsuper": "alter role mutation_role superuser",
    "pg_authid.rolinherit": "alter role mutation_role noinherit",
    "pg_authid.rolcreaterole": "alter role mutation_role createrole",
    "pg_authid.rolcreatedb": "alter role mutation_role createdb",
    "pg_authid.rolcanlogin": "alter role mutation_role login",
    "pg_authid.rolreplication": "alter role mutation_role replication",
    "pg_authid.rolbypassrls": "alter role mutation_role bypassrls",
    "pg_authid.rolconnlimit": "alter role mutation_role connection limit 3",
    "pg_authid.rolvaliduntil": "alter role mutation_role valid until '2031-01-01'",
    "pg_auth_members.roleid": "grant pg_monitor to mutation_role",
    "pg_auth_members.member":
      "grant mutation_role to pg_monitor; grant pg_monitor to mutation_role_2",
    "pg_auth_members.grantor":
      "grant mutation_role to mutation_role_2 with admin option; set role mutation_role_2; grant mutation_role to mutation_role_3; reset role",
    "pg_auth_members.admin_option": "grant mutation_role_2 to mutation_role_3 with admin option",
    "pg_auth_members.inherit_option": "grant mutation_role_2 to mutation_role_3 with inherit false",
    "pg_auth_members.set_option": "grant mutation_role_2 to mutation_role_3 with set false",
    "pg_database.datdba": "alter database mutation_db owner to mutation_role",
    "pg_database.datconnlimit": "alter database mutation_db connection limit 9",
    "pg_database.datistemplate": "alter database mutation_db is_template true",
    "pg_database.datacl": "grant create on database mutation_db to mutation_role",
    "pg_db_role_setting.setdatabase": "alter database mutation_db set work_mem = '1MB'",
    "pg_db_role_setting.setrole":
      "alter role mutation_role in database mutation_db set work_mem = '1MB'",
    "pg_db_role_setting.setconfig": "alter role mutation_role set work_mem = '1MB'",
    "pg_default_acl.defaclrole":
      "alter default privileges for role mutation_role grant select on tables to mutation_role_2",
    "pg_default_acl.defaclnamespace":
      "alter default privileges grant select on tables to mutation_role",
    "pg_default_acl.defaclobjtype":
      "alter default privileges in schema s grant select on sequences to mutation_role",
    "pg_default_acl.defaclacl":
      "alter default privileges in schema s grant insert on tables to mutation_role",
    "pg_description.description": "comment on schema s is 'other'",
    "pg_shdescription.description": "comment on role mutation_role is 'other'",
    "pg_event_trigger.evtname": "alter event trigger e rename to e2",
    "pg_event_trigger.evtevent":
      "drop event trigger e; create event trigger e on ddl_command_start when tag in ('CREATE TABLE') execute function s.evt()",
    "pg_event_trigger.evtowner":
      "alter role mutation_role superuser; alter event trigger e owner to mutation_role",
    "pg_event_trigger.evtfoid":
      "drop event trigger e; create event trigger e on ddl_command_end when tag in ('CREATE TABLE') execute function s.evt2()",
    "pg_event_trigger.evtenabled": "alter event trigger e disable",
    "pg_event_trigger.evttags":
      "drop event trigger e; create event trigger e on ddl_command_end execute function s.evt()",
    "pg_extension.extname": "create extension hstore schema s",
    "pg_foreign_data_wrapper.fdwname": "alter foreign data wrapper w rename to w9",
    "pg_foreign_data_wrapper.fdwowner":
      "alter role mutation_role superuser; alter foreign data wrapper w owner to mutation_role",
    "pg_foreign_data_wrapper.fdwvalidator":
      "alter foreign data wrapper w validator pg_catalog.postgresql_fdw_validator",
    "pg_foreign_data_wrapper.fdwacl": "grant usage on foreign data wrapper w to mutation_role",
    "pg_foreign_data_wrapper.fdwoptions": "alter foreign data wrapper w options (add o 'x')",
    "pg_foreign_server.srvname": "alter server v rename to v9",
    "pg_foreign_server.srvowner":
      "grant usage on foreign data wrapper w to mutation_role; alter server v owner to mutation_role",
    "pg_foreign_server.srvfdw":
      "drop server v cascade; create server v foreign data wrapper w2; create user mapping for public server v",
    "pg_foreign_server.srvtype":
      "drop server v cascade; create server v type 'x' foreign data wrapper w; create user mapping for public server v",
    "pg_foreign_server.srvversion": "alter server v version '2'",
    "pg_foreign_server.srvacl": "grant usage on foreign server v to mutation_role",
    "pg_foreign_server.srvoptions": "alter server v options (add o 'x')",
    "pg_user_mapping.umuser":
      "drop user mapping for public server v; create user mapping for mutation_role server v",
    "pg_user_mapping.umoptions": "alter user mapping for public server v options (add o 'x')",
    "pg_language.lanname": "alter language l rename to l2",
    "pg_language.lanowner": "alter language l owner to mutation_role",
    "pg_language.lanpltrusted": "drop language l; create trusted language l handler s.call",
    "pg_language.lanplcallfoid": "drop language l; create language l handler s.call2",
    "pg_language.lanacl": "revoke usage on language plpgsql from public",
    ...updates("pg_language", "lanname = 'l'", {
      laninline: "'s.inline_handler(internal)'::regprocedure",
      lanvalidator: "'s.validator(oid)'::regprocedure",
    }),
    "pg_parameter_acl.parname": "grant set on parameter jit to mutation_role",
    "pg_largeobject_metadata.oid": "select lo_create(78)",
    "pg_largeobject_metadata.lomowner": "alter large object 77 owner to mutation_role",
    "pg_largeobject_metadata.lomacl": "grant select on large object 77 to mutation_role",
    "pg_namespace.nspname": "alter schema s rename to s9",
    "pg_namespace.nspowner": "alter schema s owner to mutation_role",
    "pg_namespace.nspacl": "grant usage on schema s to mutation_role",
    "pg_parameter_acl.paracl": "grant set on parameter work_mem to mutation_role",
    "pg_publication.pubname": "alter publication p rename to p9",
    "pg_publication.pubowner": "alter publication q owner to mutation_role",
    "pg_publication.puballtables": "drop publication q; create publication q for all tables",
    "pg_publication.pubinsert": "alter publication q set (publish = 'update, delete, truncate')",
    "pg_publication.pubupdate": "alter publication q set (publish = 'insert, delete, truncate')",
    "pg_publication.pubdelete": "alter publication q set (publish = 'insert, update, truncate')",
    "pg_publication.pubtruncate": "alter publication q set (publish = 'insert, update, delete')",
    "pg_publication.pubviaroot": "alter publication q set (publish_via_partition_root)",
    "pg_publication_namespace.pnpubid": "alter publication q add tables in schema s",
    "pg_publication_rel.prpubid": "alter publication q add table s.u",
    "pg_publication_rel.prqual": "alter publication p set table s.t where (a > 2)",
    "pg_publication_rel.prattrs": "alter publication p set table s.t (a) where (a > 1)",
    "pg_subscription.subname": "alter subscription c rename to c9",
    "pg_subscription.subbinary": "alter subscription c set (binary = true)",
    "pg_subscription.substream": "alter subscription c set (streaming = on)",
    "pg_subscription.subdisableonerr": "alter subscription c set (disable_on_error = true)",
    "pg_subscription.subconninfo": "alter subscription c connection 'host=other'",
    "pg_subscription.subslotname": "alter subscription c set (slot_name = 'slot')",
    "pg_subscription.subsynccommit": "alter subscription c set (synchronous_commit = 'local')",
    "pg_subscription.subpublications":
      "alter subscription c set publication z with (refresh = false)",
    "pg_subscription.subpasswordrequired": "alter subscription c set (password_required = false)",
    "pg_subscription.subrunasowner": "alter subscription c set (run_as_owner = true)",
    "pg_subscription.suborigin": "alter subscription c set (origin = none)",
    "pg_depend.deptype": "alter function s.dependent() depends on extension citext",
    "pg_description.objoid":
      "update pg_description set objoid = 's.u'::regclass where objoid = 's.t'::regclass",
    "pg_description.classoid": "comment on schema s is null; comment on table s.u is 'schema'",
    ...updates("pg_description", "objoid = 's.t'::regclass", { objsubid: "2" }),
    "pg_shdescription.objoid":
      "comment on role mutation_role is null; comment on role mutation_role_2 is 'role'",
    "pg_shdescription.classoid":
      "comment on role mutation_role is null; comment on database mutation_db is 'role'",
    ...updates("pg_seclabel", "provider = 'mutation'", {
      objoid: "'s.u'::regclass",
      classoid: "'pg_namespace'::regclass, objoid = 's'::regnamespace",
      objsubid: "1",
      provider: "'other'",
      label: "'other'",
    }),
    ...updates("pg_shseclabel", "provider = 'mutation'", {
      objoid: "'mutation_role_2'::regrole",
      classoid:
        "'pg_database'::regclass, objoid = (select oid from pg_database where datname = current_database())",
      provider: "'other'",
      label: "'other'",
    }),
    ...updates("pg_init_privs", "objoid = 'public.citext(boolean)'::regprocedure", {
      objoid: "'public.citext(inet)'::regprocedure",
      classoid: "'pg_class'::regclass",
      objsubid: "1",
      initprivs:
        "array[makeaclitem('mutation_role'::regrole, 'mutation_role'::regrole, 'EXECUTE', false)]",
    }),
    "pg_extension.extnamespace": "alter extension citext set schema s",
    ...updates("pg_extension", "extname = 'citext'", {
      extrelocatable: "false",
      extversion: "'0'",
      extconfig: "array['public.settings'::regclass::oid], extcondition = array['']",
      extcondition: "array['where a > 1'], extconfig = array['public.settings'::regclass::oid]",
    }),
    "pg_foreign_data_wrapper.fdwhandler": "alter foreign data wrapper w handler s.fdw_handler",
    "pg_publication.pubgencols": "alter publication q set (publish_generated_columns = stored)",
    "pg_publication_namespace.pnnspid":
      "alter publication q add tables in schema s; savepoint inner_one; alter publication q set tables in schema public",
    ...updates("pg_publication_rel", "true", { prrelid: "'s.u'::regclass, prqual = null" }),
    "pg_subscription.subowner":
      "alter role mutation_role superuser; alter subscription c owner to mutation_role",
    ...updates("pg_subscription", "subname = 'c'", {
      subtwophasestate: "'e'",
      subfailover: "true",
    }),
    "pg_user_mapping.umserver":
      "create server v8 foreign data wrapper w; drop user mapping for public server v; create user mapping for public server v8",
  },
  unchangeable: {
    "pg_database.datname": "a database is restored under any name; the manifest has it as a fact",
    "pg_database.encoding": "chosen when the target is made; the manifest has it as a fact",
    "pg_database.datlocprovider": "chosen when the target is made; the manifest has it as a fact",
    "pg_database.datcollate": "chosen when the target is made; the manifest has it as a fact",
    "pg_database.datctype": "chosen when the target is made; the manifest has it as a fact",
    "pg_database.datcollversion": "chosen when the target is made; the manifest has it as a fact",
    "pg_largeobject.loid": "part of the rows, which fingerprints prove",
    "pg_largeobject.pageno": "part of the rows, which fingerprints prove",
    "pg_largeobject.data": "part of the rows, which fingerprints prove",
    "pg_tablespace.spcname": "a tablespace needs a folder of the server",
    "pg_tablespace.spcowner": "a tablespace needs a folder of the server",
    "pg_tablespace.spcacl": "a tablespace needs a folder of the server",
    "pg_tablespace.spcoptions": "a tablespace needs a folder of the server",
  },
};
