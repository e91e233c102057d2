/**
 * Materialized views: made empty, and filled again at the very end, each after those that it reads.
 *
 * @module
 */
import { quoteIdentifier } from "../../postgres/quote.ts";
import { type CatalogFamily, Drafts, type DumpContext } from "../context.ts";
import { columnActions } from "./columns.ts";
import { tablespaceClause, withClause } from "./options.ts";
import { definedRelations, matchesRelation, type Relation, relationRights } from "./relations.ts";
import { readViewRules, type ViewRule } from "./view_rules.ts";

// Which materialized views a materialized view reads, directly or through views.
const READS = `
  with recursive reads as (
    select d1.objid as reader, c.oid as read, c.relkind
      from pg_depend d1
      join pg_rewrite w on w.oid = d1.objid and w.ev_type = '1'
      join pg_class c on c.oid = d1.refobjid and c.relkind in ('m', 'v')
     where d1.classid = 'pg_rewrite'::regclass and d1.refclassid = 'pg_class'::regclass
       and d1.deptype = 'n' and w.ev_class <> c.oid
       and w.ev_class in (select oid from pg_class where relkind = 'm')
    union
    select reads.reader, c.oid, c.relkind
      from reads
      join pg_rewrite w on w.ev_class = reads.read and w.ev_type = '1'
      join pg_depend d2 on d2.classid = 'pg_rewrite'::regclass and d2.objid = w.oid
       and d2.refclassid = 'pg_class'::regclass and d2.deptype = 'n'
      join pg_class c on c.oid = d2.refobjid and c.relkind in ('m', 'v') and c.oid <> w.ev_class
     where reads.relkind = 'v')
  select distinct w.ev_class as reader, reads.read
    from reads join pg_rewrite w on w.oid = reads.reader
   where reads.relkind = 'm'`;

/** The family of materialized views. */
export const materializedViewsFamily: CatalogFamily = {
  name: "materialized views",
  catalogs: ["pg_class", "pg_rewrite"],
  async read(context: DumpContext): Promise<void> {
    const views = await definedRelations(context, "m");
    if (views.length === 0) return;
    const rules = await readViewRules(context, views);
    for (const view of views) addView(context, view, rules.get(view.oid)!);
    await addRefreshes(context, views);
  },
};

function addView(context: DumpContext, view: Relation, rule: ViewRule): void {
  const { row } = view;
  const host = Drafts.key("pg_class", view.oid);
  const create = [
    `CREATE ${view.address}` +
    (row.access_method === null ? "" : `\nUSING ${quoteIdentifier(row.access_method)}`) +
    withClause(row.options, row.toast_options) + tablespaceClause(row.tablespace) +
    ` AS\n${rule.query}\nWITH NO DATA`,
  ];
  const actions = view.columns.flatMap(columnActions);
  if (row.replica_identity === "n") actions.push("REPLICA IDENTITY NOTHING");
  if (row.replica_identity === "f") actions.push("REPLICA IDENTITY FULL");
  if (actions.length > 0) create.push(`ALTER TABLE ONLY ${view.sqlName} ${actions.join(", ")}`);
  context.drafts.add({
    catalog: "pg_class",
    oid: view.oid,
    part: null,
    kind: "materialized-view",
    section: "pre-data",
    schema: view.schema,
    name: view.name,
    create,
    drop: [`DROP ${view.address}`],
    address: view.address,
    owner: view.owner,
    rights: relationRights(view),
    commentable: true,
    dependsOn: [],
  });
  context.drafts.add({
    catalog: "pg_rewrite",
    oid: rule.oid,
    part: null,
    kind: "rule",
    section: "pre-data",
    schema: view.schema,
    name: `${view.name} ${rule.name}`,
    create: [],
    drop: [],
    address: `RULE ${quoteIdentifier(rule.name)} ON ${view.sqlName}`,
    owner: null,
    commentable: true,
    dependsOn: [host],
    inlineIn: host,
  });
}

async function addRefreshes(context: DumpContext, views: Relation[]): Promise<void> {
  const reads = await context.session.query(READS);
  const taken = new Map(
    views.filter((view) =>
      !matchesRelation(context.options.excludeTableData, view.schema, view.name)
    )
      .map((view) => [view.oid, view]),
  );
  // A view that reads an empty one cannot be filled, although it once was.
  const empty = new Set(views.filter((view) => !view.row.is_populated).map((view) => view.oid));
  for (let found = true; found;) {
    found = false;
    for (const { reader, read } of reads) {
      if (empty.has(read) && !empty.has(reader)) {
        empty.add(reader);
        found = true;
      }
    }
  }
  for (const view of taken.values()) {
    if (empty.has(view.oid)) continue;
    const needs = reads.filter((one) => one.reader === view.oid && taken.has(one.read));
    context.drafts.add({
      catalog: "pg_class",
      oid: view.oid,
      part: "refresh",
      kind: "refresh",
      section: "post-data",
      schema: view.schema,
      name: view.name,
      create: [`REFRESH ${view.address}`],
      drop: [],
      address: `REFRESH ${view.address}`,
      owner: null,
      commentable: false,
      dependsOn: [
        Drafts.key("pg_class", view.oid),
        ...needs.map((one) => Drafts.key("pg_class", one.read, "refresh")),
      ],
    });
  }
}
