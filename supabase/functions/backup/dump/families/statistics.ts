/**
 * Extended statistics.
 *
 * @module
 */
import { quoteQualified } from "../../postgres/quote.ts";
import { type CatalogFamily, Drafts, type DumpContext } from "../context.ts";
import { presentDefinition } from "./present_definition.ts";
import { definedRelations, oidArray } from "./relations.ts";

const STATISTICS = `
  select s.oid, s.stxname as name, s.stxnamespace as schema_oid, r.rolname as owner,
         s.stxrelid as relation, pg_get_statisticsobjdef(s.oid) as definition,
         case when s.stxstattarget >= 0 then s.stxstattarget end as target
    from unnest($1::oid[]) wanted(oid)
    join pg_statistic_ext s on s.stxrelid = wanted.oid
    left join pg_roles r on r.oid = s.stxowner
   order by s.oid`;

/** The family of pg_statistic_ext. */
export const statisticsFamily: CatalogFamily = {
  name: "statistics",
  catalogs: ["pg_statistic_ext"],
  async read(context: DumpContext): Promise<void> {
    const oids = oidArray((await definedRelations(context, "rpfm")).map((table) => table.oid));
    for (const row of await context.session.query(STATISTICS, [oids])) {
      const schema = context.schemas.get(row.schema_oid);
      if (schema?.take !== "all") continue;
      if (context.extensionMembers.has(`pg_statistic_ext:${row.oid}`)) continue;
      const sqlName = quoteQualified(schema.name, row.name);
      const create = [presentDefinition(row.definition, `STATISTICS ${sqlName}`)];
      if (row.target !== null) {
        create.push(`ALTER STATISTICS ${sqlName} SET STATISTICS ${row.target}`);
      }
      context.readByFunction.push({ catalog: "pg_statistic_ext", oid: row.oid });
      context.drafts.add({
        catalog: "pg_statistic_ext",
        oid: row.oid,
        part: null,
        kind: "statistics",
        section: "post-data",
        schema: schema.name,
        name: row.name,
        create,
        drop: [`DROP STATISTICS ${sqlName}`],
        address: `STATISTICS ${sqlName}`,
        owner: row.owner,
        commentable: true,
        dependsOn: [Drafts.key("pg_class", row.relation)],
      });
    }
  },
};
