/**
 * Operator classes.
 *
 * @module
 */
import { quoteIdentifier, quoteQualified } from "../../postgres/quote.ts";
import type { Row } from "../../postgres/session.ts";
import { type CatalogFamily, Drafts, type DumpContext } from "../context.ts";
import { operatorFamilyNameSql, roleNameSql } from "./catalog_names.ts";
import { define, isTaken, isUsersSql } from "./define.ts";
import { type OperatorMembers, readOperatorMembers } from "./operator_members.ts";

const CLASSES = `
  select c.oid, n.oid as schema_oid, n.nspname, c.opcname, a.amname, c.opcfamily, c.opcdefault,
         format_type(c.opcintype, null) as type,
         format_type(nullif(c.opckeytype, 0), null) as storage,
         ${operatorFamilyNameSql("c.opcfamily")} as family, ${roleNameSql("c.opcowner")} as owner
    from pg_opclass c
    join pg_namespace n on n.oid = c.opcnamespace
    join pg_am a on a.oid = c.opcmethod
   where ${isUsersSql("pg_opclass", { oid: "c.oid", schema: "n.nspname" })}
   order by n.nspname, c.opcname, a.amname`;

/** The family of pg_opclass, with the members in pg_amop and pg_amproc. */
export const operatorClassesFamily: CatalogFamily = {
  name: "operator classes",
  catalogs: ["pg_opclass", "pg_amop", "pg_amproc"],
  async read(context: DumpContext): Promise<void> {
    const rows = await context.session.query(CLASSES);
    if (rows.length === 0) return;
    const members = await readOperatorMembers(context.session, "pg_opclass");
    for (const row of rows) {
      if (!isTaken(context, row.schema_oid)) continue;
      const own = members.get(row.oid) ?? { clauses: [], dependsOn: [] };
      const name = quoteQualified(row.nspname, row.opcname);
      define(context, {
        catalog: "pg_opclass",
        oid: row.oid,
        kind: "operator-class",
        schema: row.nspname,
        name: row.opcname,
        address: `OPERATOR CLASS ${name} USING ${quoteIdentifier(row.amname)}`,
        owner: row.owner,
        create: [createClass(row, name, own)],
        dependsOn: [Drafts.key("pg_opfamily", row.opcfamily), ...own.dependsOn],
      });
    }
  },
};

function createClass(row: Row, name: string, members: OperatorMembers): string {
  const clauses = [...members.clauses];
  // A class needs at least one clause; naming its own type as storage says nothing.
  if (row.storage !== null || clauses.length === 0) {
    clauses.unshift(`STORAGE ${row.storage ?? row.type}`);
  }
  return `CREATE OPERATOR CLASS ${name}\n    ${
    row.opcdefault ? "DEFAULT " : ""
  }FOR TYPE ${row.type}` +
    ` USING ${quoteIdentifier(row.amname)} FAMILY ${row.family} AS\n    ${clauses.join(",\n    ")}`;
}
