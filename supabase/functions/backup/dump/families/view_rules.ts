/**
 * The ON SELECT rules of views and materialized views.
 *
 * @module
 */
import type { DumpContext } from "../context.ts";
import { presentDefinition } from "./present_definition.ts";
import { oidArray, type Relation } from "./relations.ts";

/** The rule that defines a view. */
export interface ViewRule {
  oid: number;
  name: string;
  /** The query, without the final semicolon. */
  query: string;
  /** The view stands in its own query, which CREATE OR REPLACE VIEW allows. */
  readsItself: boolean;
}

const RULES = `
  select w.ev_class as relation, w.oid, w.rulename as name, pg_get_viewdef(w.ev_class) as query,
         exists (select from pg_depend d
           where d.classid = 'pg_rewrite'::regclass and d.objid = w.oid and d.deptype = 'n'
             and d.refclassid = 'pg_class'::regclass and d.refobjid = w.ev_class) as reads_itself
    from unnest($1::oid[]) wanted(oid)
    join pg_rewrite w on w.ev_class = wanted.oid and w.ev_type = '1' and w.is_instead`;

/**
 * The rules by oid of their view: one for each.
 *
 * @throws {BackupError} `concurrent_ddl` when the server has no definition of one of them
 */
export async function readViewRules(
  context: DumpContext,
  views: Relation[],
): Promise<Map<number, ViewRule>> {
  const rules = new Map<number, ViewRule>();
  if (views.length === 0) return rules;
  const oids = oidArray(views.map((view) => view.oid));
  for (const row of await context.session.query(RULES, [oids])) {
    rules.set(row.relation, {
      oid: row.oid,
      name: row.name,
      readsItself: row.reads_itself,
      query: (row.query ?? "").replace(/;\s*$/, ""),
    });
    context.readByFunction.push({ catalog: "pg_rewrite", oid: row.oid });
  }
  for (const view of views) presentDefinition(rules.get(view.oid)?.query ?? null, view.address);
  return rules;
}
