/**
 * The queries that read pg_class for all families of relations.
 *
 * @module
 */

/**
 * Relations of the schemas `$1`, and those of the schemas `$2` whose rights are not those they were made
 * with; where `$3` is given, only those in it, or with `$4` only those not in it.
 */
export const RELATIONS = `
  select c.oid, c.relname as name, c.relnamespace as schema_oid, c.relkind as kind,
         r.rolname as owner, c.relpersistence as persistence, c.relispartition as is_partition,
         c.relacl as acl,
         acldefault(case when c.relkind = 'S' then 's'::"char" else 'r'::"char" end, c.relowner)
           as acl_default,
         i.initprivs as initial, c.reloptions as options, t.reloptions as toast_options,
         s.spcname as tablespace, am.amname as access_method, c.relrowsecurity as row_security,
         c.relforcerowsecurity as force_row_security, c.relreplident as replica_identity,
         c.relispopulated as is_populated, d.refobjid as owner_oid, d.refobjsubid as owner_column,
         d.deptype as owner_kind,
         exists (select from pg_attribute a where a.attrelid = c.oid and a.attacl is not null
                    and not a.attisdropped)
           or exists (select from pg_init_privs ci where ci.classoid = 'pg_class'::regclass
                         and ci.objoid = c.oid and ci.objsubid <> 0) as has_column_rights
    from pg_class c
    left join pg_roles r on r.oid = c.relowner
    left join pg_tablespace s on s.oid = c.reltablespace
    left join pg_am am on am.oid = c.relam
    left join pg_class t on t.oid = c.reltoastrelid
    left join lateral (
      select d.refobjid, d.refobjsubid, d.deptype
        from pg_depend d
       where c.relkind = 'S' and d.classid = 'pg_class'::regclass and d.objid = c.oid
         and d.objsubid = 0 and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
      offset 0) d on true
    left join pg_init_privs i
      on i.classoid = 'pg_class'::regclass and i.objoid = c.oid and i.objsubid = 0
   where c.relkind in ('r', 'p', 'f', 'v', 'm', 'S')
     and ($3::oid[] is null or c.oid = any ($3::oid[]) is distinct from $4::bool)
     and (c.relnamespace = any ($1::oid[])
          or c.relnamespace = any ($2::oid[])
             and (c.relacl is distinct from i.initprivs
                  or exists (select from pg_attribute a
                               left join pg_init_privs ai
                                 on ai.classoid = 'pg_class'::regclass and ai.objoid = c.oid
                                and ai.objsubid = a.attnum
                              where a.attrelid = c.oid and not a.attisdropped
                                and a.attacl is distinct from ai.initprivs)))
   order by c.oid`;

/**
 * More of the relations `$1`. Functions that look at the current catalog run only here, on relations
 * that the dump has locked.
 */
export const DETAILS = `
  select c.oid,
         case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end as partition_key,
         case when c.relispartition then pg_get_expr(c.relpartbound, c.oid) end as partition_bound,
         case when c.reloftype <> 0 then format_type(c.reloftype, null) end as of_type,
         fs.srvname as server,
         case when ft.ftrelid is null then '{}' else
           array(select quote_ident(o.option_name) || ' ' || quote_literal(o.option_value)
                   from pg_options_to_table(ft.ftoptions) o) end as foreign_options,
         coalesce(above.parents, '{}') as parents, coalesce(above.names, '{}') as parent_names,
         case when c.relkind in ('r', 'm') then pg_relation_size(c.oid) end as table_bytes,
         case when c.relkind in ('r', 'm') and c.reltoastrelid <> 0
              then pg_relation_size(c.reltoastrelid) end as toast_bytes
    from unnest($1::oid[]) wanted(oid)
    join pg_class c on c.oid = wanted.oid
    left join pg_foreign_table ft on ft.ftrelid = c.oid
    left join pg_foreign_server fs on fs.oid = ft.ftserver
    left join (
      select h.inhrelid, array_agg(h.inhparent order by h.inhseqno) as parents,
             array_agg(format('%I.%I', pn.nspname, p.relname) order by h.inhseqno) as names
        from pg_inherits h
        join pg_class p on p.oid = h.inhparent
        join pg_namespace pn on pn.oid = p.relnamespace
       group by h.inhrelid) above on above.inhrelid = c.oid`;

/** Rights on the system columns of the relations `$1`. */
export const SYSTEM_COLUMN_RIGHTS = `
  select a.attrelid as relation, a.attname as name, a.attacl as acl, i.initprivs as initial
    from unnest($1::oid[]) wanted(oid)
    join pg_attribute a on a.attrelid = wanted.oid and a.attnum < 0
    left join pg_init_privs i
      on i.classoid = 'pg_class'::regclass and i.objoid = a.attrelid and i.objsubid = a.attnum
   where a.attacl is not null or i.initprivs is not null
   order by a.attrelid, a.attnum desc`;

/** Extensions with their configuration tables. */
export const EXTENSIONS = `
  select e.oid, e.extname as name, e.extconfig as tables, e.extcondition as conditions
    from pg_extension e`;
