/**
 * Whether row security is on for a table. It is switched on after the rows are there.
 *
 * @module
 */
import { type CatalogFamily, Drafts, type DumpContext } from "../context.ts";
import { isSelected, type Relation, relationsOf } from "./relations.ts";

/** The family of row security; users switch it on for tables of extensions too. */
export const rowSecurityFamily: CatalogFamily = {
  name: "row security",
  catalogs: [],
  async read(context: DumpContext): Promise<void> {
    for (const table of (await relationsOf(context)).values()) {
      const isTaken = table.isDefined ||
        (table.extension !== null && isSelected(context.options, table.schema, table.name));
      const isOn = table.row.row_security || table.row.force_row_security;
      if (isTaken && isOn) addRowSecurity(context, table);
    }
  },
};

function addRowSecurity(context: DumpContext, table: Relation): void {
  const actions = [];
  if (table.row.row_security) actions.push("ENABLE ROW LEVEL SECURITY");
  if (table.row.force_row_security) actions.push("FORCE ROW LEVEL SECURITY");
  context.drafts.add({
    catalog: "pg_class",
    oid: table.oid,
    part: "row-security",
    kind: "row-security",
    section: "post-data",
    schema: table.schema,
    name: table.name,
    create: [`ALTER TABLE ONLY ${table.sqlName} ${actions.join(", ")}`],
    drop: [
      `ALTER TABLE ONLY ${table.sqlName} NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY`,
    ],
    address: `ROW SECURITY ON ${table.sqlName}`,
    owner: null,
    commentable: false,
    dependsOn: [table.extensionKey ?? Drafts.key("pg_class", table.oid)],
  });
}
