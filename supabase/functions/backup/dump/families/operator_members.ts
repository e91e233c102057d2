/**
 * Operators and support functions that belong to an operator class, or loosely to a family.
 *
 * @module
 */
import type { Row, Session } from "../../postgres/session.ts";
import { Drafts } from "../context.ts";
import {
  functionSignatureSql,
  operatorFamilyNameSql,
  operatorSignatureSql,
} from "./catalog_names.ts";

// pg_depend says whether a member hangs on a class or directly on the family.
const OPERATORS = `
  select d.refclassid = 'pg_opclass'::regclass as of_class, d.refobjid as host,
         format('OPERATOR %s %s', o.amopstrategy, ${operatorSignatureSql("o.amopopr")})
           || coalesce(' FOR ORDER BY ' || ${
  operatorFamilyNameSql("o.amopsortfamily")
}, '') as member,
         'pg_operator' as catalog, o.amopopr as needs, o.amopsortfamily as sort_family
    from pg_amop o
    join pg_depend d on d.classid = 'pg_amop'::regclass and d.objid = o.oid
   where (d.refclassid = 'pg_opclass'::regclass
          or (d.refclassid = 'pg_opfamily'::regclass and d.refobjid = o.amopfamily))
   order by o.amopstrategy, format_type(o.amoplefttype, null), format_type(o.amoprighttype, null),
            o.oid`;

// Both types are written although they mostly follow from the function: not so for a support
// function of a comparison across types.
const FUNCTIONS = `
  select d.refclassid = 'pg_opclass'::regclass as of_class, d.refobjid as host,
         format('FUNCTION %s (%s, %s) %s', f.amprocnum, format_type(f.amproclefttype, null),
                format_type(f.amprocrighttype, null), ${
  functionSignatureSql("f.amproc")
}) as member,
         'pg_proc' as catalog, f.amproc::oid as needs, 0::oid as sort_family
    from pg_amproc f
    join pg_depend d on d.classid = 'pg_amproc'::regclass and d.objid = f.oid
   where (d.refclassid = 'pg_opclass'::regclass
          or (d.refclassid = 'pg_opfamily'::regclass and d.refobjid = f.amprocfamily))
   order by f.amprocnum, format_type(f.amproclefttype, null), format_type(f.amprocrighttype, null),
            f.oid`;

/** The members of one class or family. */
export interface OperatorMembers {
  /** `OPERATOR 1 …`, `FUNCTION 1 …`. */
  clauses: string[];
  /** Keys of what they name. */
  dependsOn: string[];
}

/** Members by the oid of the class (`pg_opclass`) or family (`pg_opfamily`) they hang on. */
export async function readOperatorMembers(
  session: Session,
  hosts: "pg_opclass" | "pg_opfamily",
): Promise<Map<number, OperatorMembers>> {
  const members = new Map<number, OperatorMembers>();
  const rows: Row[] = [...await session.query(OPERATORS), ...await session.query(FUNCTIONS)];
  for (const row of rows) {
    if (row.of_class !== (hosts === "pg_opclass")) continue;
    const list = members.get(row.host) ?? { clauses: [], dependsOn: [] };
    list.clauses.push(row.member);
    list.dependsOn.push(Drafts.key(row.catalog, row.needs));
    if (row.sort_family !== 0) list.dependsOn.push(Drafts.key("pg_opfamily", row.sort_family));
    members.set(row.host, list);
  }
  return members;
}
