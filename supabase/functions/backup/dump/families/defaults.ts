/**
 * Column defaults. CREATE TABLE carries them where it names the column; those of views and of
 * inherited columns stand alone.
 *
 * @module
 */
import { quoteIdentifier } from "../../postgres/quote.ts";
import { type CatalogFamily, Drafts, type DumpContext } from "../context.ts";
import type { Column } from "./columns.ts";
import { definedRelations, type Relation } from "./relations.ts";

/** The family of pg_attrdef. */
export const defaultsFamily: CatalogFamily = {
  name: "defaults",
  catalogs: ["pg_attrdef"],
  async read(context: DumpContext): Promise<void> {
    for (const relation of await definedRelations(context, "rpfv")) {
      for (const column of relation.columns) {
        if (column.defaultOid !== null) addDefault(context, relation, column);
      }
    }
  },
};

function addDefault(context: DumpContext, relation: Relation, column: Column): void {
  const host = Drafts.key("pg_class", relation.oid);
  const name = quoteIdentifier(column.name);
  // A generation expression has no statement of its own: it cannot leave its table.
  const isGenerated = column.generated !== "";
  const isCarried = relation.kind !== "v" &&
    (isGenerated || column.isLocal || relation.isPartition);
  const alter = `${relation.alter} ONLY ${relation.sqlName} ALTER COLUMN ${name}`;
  context.drafts.add({
    catalog: "pg_attrdef",
    oid: column.defaultOid!,
    part: null,
    kind: "default",
    section: "pre-data",
    schema: relation.schema,
    name: `${relation.name} ${column.name}`,
    create: isGenerated ? [] : [`${alter} SET DEFAULT ${column.defaultExpression}`],
    drop: isGenerated ? [] : [`${alter} DROP DEFAULT`],
    address: `DEFAULT ${name} ON ${relation.sqlName}`,
    owner: null,
    commentable: false,
    dependsOn: [host],
    ...(isCarried ? { inlineIn: host } : {}),
  });
}
