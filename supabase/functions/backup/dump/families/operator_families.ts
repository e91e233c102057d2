/**
 * Operator families with their loose members.
 *
 * @module
 */
import { quoteIdentifier, quoteQualified } from "../../postgres/quote.ts";
import type { CatalogFamily, DumpContext } from "../context.ts";
import { roleNameSql } from "./catalog_names.ts";
import { define, isTaken, isUsersSql } from "./define.ts";
import { readOperatorMembers } from "./operator_members.ts";

const FAMILIES = `
  select f.oid, n.oid as schema_oid, n.nspname, f.opfname, a.amname,
         ${roleNameSql("f.opfowner")} as owner
    from pg_opfamily f
    join pg_namespace n on n.oid = f.opfnamespace
    join pg_am a on a.oid = f.opfmethod
   where ${isUsersSql("pg_opfamily", { oid: "f.oid", schema: "n.nspname" })}
   order by n.nspname, f.opfname, a.amname`;

/** The family of pg_opfamily. */
export const operatorFamiliesFamily: CatalogFamily = {
  name: "operator families",
  catalogs: ["pg_opfamily"],
  async read(context: DumpContext): Promise<void> {
    const rows = await context.session.query(FAMILIES);
    if (rows.length === 0) return;
    const members = await readOperatorMembers(context.session, "pg_opfamily");
    for (const row of rows) {
      if (!isTaken(context, row.schema_oid)) continue;
      const name = quoteQualified(row.nspname, row.opfname);
      const address = `OPERATOR FAMILY ${name} USING ${quoteIdentifier(row.amname)}`;
      const loose = members.get(row.oid);
      const create = [`CREATE ${address}`];
      if (loose !== undefined) {
        create.push(`ALTER ${address} ADD\n    ${loose.clauses.join(",\n    ")}`);
      }
      define(context, {
        catalog: "pg_opfamily",
        oid: row.oid,
        kind: "operator-family",
        schema: row.nspname,
        name: row.opfname,
        address,
        owner: row.owner,
        create,
        ...(loose === undefined ? {} : { dependsOn: loose.dependsOn }),
      });
    }
  },
};
