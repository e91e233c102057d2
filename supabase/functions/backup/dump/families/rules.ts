/**
 * Rules, except the ON SELECT rules that are views.
 *
 * @module
 */
import { quoteIdentifier } from "../../postgres/quote.ts";
import { type CatalogFamily, Drafts, type DumpContext } from "../context.ts";
import { firingAction } from "./firing.ts";
import { presentDefinition } from "./present_definition.ts";
import { definedRelations, oidArray } from "./relations.ts";

const RULES = `
  select w.oid, w.ev_class as relation, w.rulename as name, w.ev_enabled as enabled,
         pg_get_ruledef(w.oid) as definition
    from unnest($1::oid[]) wanted(oid)
    join pg_class c on c.oid = wanted.oid
    join pg_rewrite w on w.ev_class = c.oid
     and not (c.relkind in ('v', 'm') and w.ev_type = '1' and w.is_instead)
   order by w.oid`;

/** The family of pg_rewrite without the views' own rules. */
export const rulesFamily: CatalogFamily = {
  name: "rules",
  catalogs: ["pg_rewrite"],
  async read(context: DumpContext): Promise<void> {
    const relations = new Map(
      (await definedRelations(context, "rpfvm")).map((one) => [one.oid, one]),
    );
    for (const row of await context.session.query(RULES, [oidArray(relations.keys())])) {
      const relation = relations.get(row.relation)!;
      const name = quoteIdentifier(row.name);
      const address = `RULE ${name} ON ${relation.sqlName}`;
      const create = createRule(presentDefinition(row.definition, address), relation.sqlName);
      if (row.enabled !== "O") {
        create.push(`ALTER TABLE ${relation.sqlName} ${firingAction(row.enabled, "RULE", name)}`);
      }
      context.readByFunction.push({ catalog: "pg_rewrite", oid: row.oid });
      context.drafts.add({
        catalog: "pg_rewrite",
        oid: row.oid,
        part: null,
        kind: "rule",
        section: "post-data",
        schema: relation.schema,
        name: `${relation.name} ${row.name}`,
        create,
        drop: [`DROP ${address}`],
        address,
        owner: null,
        commentable: true,
        dependsOn: [Drafts.key("pg_class", relation.oid)],
      });
    }
  },
};

/**
 * A rule that is no view's own can be called "_RETURN" only by renaming it, and where the server still
 * allows that.
 */
function createRule(definition: string, table: string): string[] {
  const statement = definition.replace(/;\s*$/, "");
  const reserved = 'CREATE RULE "_RETURN" ';
  if (!statement.startsWith(reserved)) return [statement];
  return [
    `CREATE RULE "_RETURN_" ${statement.slice(reserved.length)}`,
    `ALTER RULE "_RETURN_" ON ${table} RENAME TO "_RETURN"`,
  ];
}
