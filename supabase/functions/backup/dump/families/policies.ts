/**
 * Row security policies.
 *
 * @module
 */
import { quoteIdentifier } from "../../postgres/quote.ts";
import type { Row } from "../../postgres/session.ts";
import { type CatalogFamily, Drafts, type DumpContext } from "../context.ts";
import { isSelected, oidArray, type Relation, relationsOf } from "./relations.ts";

const POLICIES = `
  select p.oid, p.polrelid as relation, p.polname as name, p.polcmd as command,
         p.polpermissive as is_permissive,
         pg_get_expr(p.polqual, p.polrelid) as using_expression,
         pg_get_expr(p.polwithcheck, p.polrelid) as check_expression,
         case when p.polroles <> '{0}' then
           array(select r.rolname::text
                   from unnest(p.polroles) with ordinality role(oid, place)
                   join pg_roles r on r.oid = role.oid order by role.place) end as roles
    from unnest($1::oid[]) wanted(oid)
    join pg_policy p on p.polrelid = wanted.oid
   order by p.oid`;

const COMMANDS: Record<string, string> = {
  "*": "",
  r: " FOR SELECT",
  a: " FOR INSERT",
  w: " FOR UPDATE",
  d: " FOR DELETE",
};

/** The family of pg_policy. */
export const policiesFamily: CatalogFamily = {
  name: "policies",
  catalogs: ["pg_policy"],
  async read(context: DumpContext): Promise<void> {
    const relations = new Map(
      [...await relationsOf(context)].filter(([, one]) =>
        "rp".includes(one.kind) &&
        (one.isDefined ||
          (one.extension !== null && isSelected(context.options, one.schema, one.name)))
      ),
    );
    for (const row of await context.session.query(POLICIES, [oidArray(relations.keys())])) {
      addPolicy(context, relations.get(row.relation)!, row);
    }
  },
};

function addPolicy(context: DumpContext, relation: Relation, row: Row): void {
  const address = `POLICY ${quoteIdentifier(row.name)} ON ${relation.sqlName}`;
  const create = `CREATE ${address}` + (row.is_permissive ? "" : " AS RESTRICTIVE") +
    COMMANDS[row.command] +
    (row.roles === null ? "" : ` TO ${row.roles.map(quoteIdentifier).join(", ")}`) +
    (row.using_expression === null ? "" : ` USING (${row.using_expression})`) +
    (row.check_expression === null ? "" : ` WITH CHECK (${row.check_expression})`);
  context.readByFunction.push({ catalog: "pg_policy", oid: row.oid });
  context.drafts.add({
    catalog: "pg_policy",
    oid: row.oid,
    part: null,
    kind: "policy",
    section: "post-data",
    schema: relation.schema,
    name: `${relation.name} ${row.name}`,
    // On an extension's table nothing tells whether CREATE EXTENSION has made it already.
    create: relation.extension === null
      ? [create]
      : [`DROP POLICY IF EXISTS ${address.slice("POLICY ".length)}`, create],
    drop: [`DROP ${address}`],
    address,
    owner: null,
    commentable: true,
    dependsOn: [Drafts.key("pg_class", relation.oid)],
  });
}
