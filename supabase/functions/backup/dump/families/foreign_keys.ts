/**
 * Foreign keys. Those that partitions have from their parent come with the parent's.
 *
 * @module
 */
import { quoteIdentifier } from "../../postgres/quote.ts";
import { type CatalogFamily, Drafts, type DumpContext } from "../context.ts";
import { presentDefinition } from "./present_definition.ts";
import { definedRelations, oidArray } from "./relations.ts";

const FOREIGN_KEYS = `
  select c.conrelid as relation, c.oid, c.conname as name, c.confrelid as referenced,
         pg_get_constraintdef(c.oid) as definition, c.conindid as index,
         array(with recursive part(oid) as (
                 select h.inhrelid from pg_inherits h
                  where h.inhparent = c.conindid and r.relkind = 'p'
                 union all
                 select h.inhrelid from part join pg_inherits h on h.inhparent = part.oid)
               select part.oid from part) as attached
    from unnest($1::oid[]) wanted(oid)
    join pg_constraint c
      on c.conrelid = wanted.oid and c.contype = 'f' and c.conparentid = 0
    join pg_class r on r.oid = c.confrelid
   order by c.conrelid, c.conname`;

/** The family of foreign keys. */
export const foreignKeysFamily: CatalogFamily = {
  name: "foreign keys",
  catalogs: ["pg_constraint"],
  async read(context: DumpContext): Promise<void> {
    const tables = new Map(
      (await definedRelations(context, "rpf")).map((table) => [table.oid, table]),
    );
    const rows = await context.session.query(FOREIGN_KEYS, [oidArray(tables.keys())]);
    for (const row of rows) {
      const table = tables.get(row.relation)!;
      const name = quoteIdentifier(row.name);
      // ONLY, except for partitioned tables, whose keys always reach the partitions.
      const alter = `${table.alter} ${table.kind === "p" ? "" : "ONLY "}${table.sqlName}`;
      const address = `CONSTRAINT ${name} ON ${table.sqlName}`;
      const definition = presentDefinition(row.definition, address);
      context.readByFunction.push({ catalog: "pg_constraint", oid: row.oid });
      context.drafts.add({
        catalog: "pg_constraint",
        oid: row.oid,
        part: null,
        kind: "foreign-key",
        section: "post-data",
        schema: table.schema,
        name: `${table.name} ${row.name}`,
        create: [`${alter} ADD CONSTRAINT ${name} ${definition}`],
        drop: [`${alter} DROP CONSTRAINT ${name}`],
        address,
        owner: null,
        commentable: true,
        // A partitioned table's key counts only when every partition's index is attached.
        dependsOn: [
          Drafts.key("pg_class", row.relation),
          Drafts.key("pg_class", row.referenced),
          Drafts.key("pg_class", row.index),
          ...row.attached.map((oid: number) => Drafts.key("pg_class", oid, "attach")),
        ],
      });
    }
  },
};
