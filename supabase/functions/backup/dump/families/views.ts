/**
 * Views. The definition belongs to the view's ON SELECT rule, which the view carries; where that makes
 * a loop the view is made as a dummy with the same columns and the rule replaces it later.
 *
 * @module
 */
import { quoteIdentifier } from "../../postgres/quote.ts";
import { type CatalogFamily, Drafts, type DumpContext } from "../context.ts";
import { withClause } from "./options.ts";
import { definedRelations, type Relation, relationRights } from "./relations.ts";
import { readViewRules, type ViewRule } from "./view_rules.ts";

/** The family of views. */
export const viewsFamily: CatalogFamily = {
  name: "views",
  catalogs: ["pg_class", "pg_rewrite"],
  async read(context: DumpContext): Promise<void> {
    const views = await definedRelations(context, "v");
    const rules = await readViewRules(context, views);
    for (const view of views) addView(context, view, rules.get(view.oid)!);
  },
};

function addView(context: DumpContext, view: Relation, rule: ViewRule): void {
  const host = Drafts.key("pg_class", view.oid);
  const key = Drafts.key("pg_rewrite", rule.oid);
  const drop = [`DROP ${view.address}`];
  const real = `${view.sqlName}${withClause(view.row.options)} AS\n${rule.query}`;
  const dummy = `${view.sqlName} AS\nSELECT ${view.columns.map(dummyColumn).join(", ")}`;
  // A view that was replaced by one that reads it is there before its query is.
  const create = rule.readsItself
    ? [`CREATE VIEW ${dummy}`, `CREATE OR REPLACE VIEW ${real}`]
    : [`CREATE VIEW ${real}`];
  context.drafts.add({
    catalog: "pg_class",
    oid: view.oid,
    part: null,
    kind: "view",
    section: "pre-data",
    schema: view.schema,
    name: view.name,
    create,
    drop,
    address: view.address,
    owner: view.owner,
    rights: relationRights(view),
    commentable: true,
    dependsOn: [],
    withoutInline: (separate) => ({
      create: separate.has(key) ? [`CREATE VIEW ${dummy}`] : create,
      drop,
    }),
  });
  context.drafts.add({
    catalog: "pg_rewrite",
    oid: rule.oid,
    part: null,
    kind: "rule",
    section: "post-data",
    schema: view.schema,
    name: `${view.name} ${rule.name}`,
    create: [`CREATE OR REPLACE VIEW ${real}`],
    // A view cannot lose its rule; the dummy depends on nothing.
    drop: [`CREATE OR REPLACE VIEW ${dummy}`],
    address: `RULE ${quoteIdentifier(rule.name)} ON ${view.sqlName}`,
    owner: null,
    commentable: true,
    dependsOn: [host],
    inlineIn: host,
  });
}

function dummyColumn(column: Relation["columns"][number]): string {
  const collation = column.collation === null ? "" : ` COLLATE ${column.collation}`;
  return `NULL::${column.type}${collation} AS ${quoteIdentifier(column.name)}`;
}
