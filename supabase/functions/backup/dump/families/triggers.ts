/**
 * Triggers. A partition's copy of a parent's trigger is named only where it fires otherwise.
 *
 * @module
 */
import { fromHex } from "../../core/bytes.ts";
import { quoteIdentifier, quoteLiteral } from "../../postgres/quote.ts";
import type { Row } from "../../postgres/session.ts";
import { type CatalogFamily, Drafts, type DumpContext } from "../context.ts";
import { functionNameSql } from "./catalog_names.ts";
import { firingAction } from "./firing.ts";
import { presentDefinition } from "./present_definition.ts";
import { isSelected, oidArray, type Relation, relationsOf } from "./relations.ts";

const TRIGGERS = `
  select t.oid, t.tgrelid as relation, t.tgname as name, t.tgenabled as enabled,
         t.tgparentid as parent, t.tgfoid as function, t.tgconstraint <> 0 as is_constraint,
         ${functionNameSql("t.tgfoid")} as function_name, encode(t.tgargs, 'hex') as arguments,
         t.tgqual is not null as has_condition,
         pg_get_triggerdef(t.oid, false) as definition
    from unnest($1::oid[]) wanted(oid)
    join pg_trigger t on t.tgrelid = wanted.oid
    left join pg_trigger p on p.oid = t.tgparentid
   where (not t.tgisinternal and t.tgparentid = 0) or t.tgenabled <> p.tgenabled
   order by t.oid`;

/** The family of pg_trigger. */
export const triggersFamily: CatalogFamily = {
  name: "triggers",
  catalogs: ["pg_trigger"],
  async read(context: DumpContext): Promise<void> {
    // Users put triggers on tables of extensions too.
    const relations = new Map(
      [...await relationsOf(context)].filter(([, one]) =>
        one.isDefined ||
        (one.extension !== null && isSelected(context.options, one.schema, one.name))
      ),
    );
    for (const row of await context.session.query(TRIGGERS, [oidArray(relations.keys())])) {
      const relation = relations.get(row.relation)!;
      if (!relation.isDefined && isOfExtension(context, row)) continue;
      addTrigger(context, relation, row);
    }
  },
};

function isOfExtension(context: DumpContext, row: Row): boolean {
  return context.extensionMembers.has(`pg_proc:${row.function}`) ||
    context.extensionMembers.has(`pg_trigger:${row.oid}`) || row.function < 16384;
}

/**
 * Whether the definition, which the server wrote as it is now, names the function as the snapshot does, and no
 * other one: the call is its end. False where that cannot be told, as with arguments beyond plain words.
 */
function namesItsFunction(row: Row): boolean {
  if (row.has_condition) return false;
  const bytes = fromHex(row.arguments);
  const listed = String.fromCharCode(...bytes).split("\0").slice(0, -1);
  if (!listed.every((each) => /^[\x20-\x5b\x5d-\x7e]*$/.test(each))) return false;
  const call = `${row.function_name}(${listed.map(quoteLiteral).join(", ")})`;
  return row.definition?.endsWith(` EXECUTE FUNCTION ${call}`) === true;
}

function addTrigger(context: DumpContext, relation: Relation, row: Row): void {
  const name = quoteIdentifier(row.name);
  const isCopy = row.parent !== 0;
  const firing = `${relation.alter} ${relation.sqlName} ` +
    firingAction(row.enabled, "TRIGGER", name);
  const address = `TRIGGER ${name} ON ${relation.sqlName}`;
  const create = [isCopy ? firing : presentDefinition(row.definition, address)];
  if (!isCopy && row.enabled !== "O") create.push(firing);
  context.readByFunction.push({
    ...{ catalog: "pg_trigger", oid: row.oid },
    areFunctionsOfSnapshot: isCopy || namesItsFunction(row),
  });
  context.drafts.add({
    catalog: "pg_trigger",
    oid: row.oid,
    part: null,
    kind: "trigger",
    section: "post-data",
    schema: relation.schema,
    name: `${relation.name} ${row.name}`,
    create,
    drop: isCopy ? [] : [`DROP ${address}`],
    address,
    owner: null,
    commentable: true,
    dependsOn: [
      Drafts.key("pg_class", relation.oid),
      ...(isCopy ? [Drafts.key("pg_trigger", row.parent)] : []),
    ],
  });
}
