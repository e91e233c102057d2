/**
 * The attaching of partitions to their parents, apart from the partitions themselves, so that their
 * columns keep their order and their settings.
 *
 * @module
 */
import { type CatalogFamily, Drafts, type DumpContext } from "../context.ts";
import { definedRelations, type Relation } from "./relations.ts";

/** The family of pg_inherits, as far as partitions go. */
export const partitionsFamily: CatalogFamily = {
  name: "partitions",
  catalogs: ["pg_inherits"],
  async read(context: DumpContext): Promise<void> {
    for (const table of await definedRelations(context, "rpf")) {
      const parent = table.parents[0];
      if (!table.isPartition || parent === undefined) continue;
      if (parent.isDefined) {
        addAttach(context, table, parent.sqlName);
      } else {
        context.remarks.push(
          `Table ${table.sqlName} is saved as a table of its own: ${parent.sqlName}, whose ` +
            "partition it is, is left out",
        );
      }
    }
  },
};

function addAttach(context: DumpContext, table: Relation, parentName: string): void {
  context.drafts.add({
    catalog: "pg_class",
    oid: table.oid,
    part: "attach",
    kind: "table-attach",
    section: "pre-data",
    schema: table.schema,
    name: table.name,
    create: [
      `ALTER TABLE ONLY ${parentName} ATTACH PARTITION ${table.sqlName} ` +
      table.row.partition_bound,
    ],
    drop: [],
    address: `TABLE ATTACH ${table.sqlName}`,
    owner: null,
    commentable: false,
    dependsOn: [Drafts.key("pg_class", table.oid), Drafts.key("pg_class", table.parents[0]!.oid)],
  });
}
