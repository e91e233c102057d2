/**
 * CHECK constraints of tables and, from PostgreSQL 18 on, their named NOT NULL constraints.
 *
 * Most of them stand inside CREATE TABLE. Those that were never checked against all rows come after
 * the data, because the rows may violate them.
 *
 * @module
 */
import { quoteIdentifier } from "../../postgres/quote.ts";
import { type Draft, Drafts, type DumpContext } from "../context.ts";
import { presentDefinition } from "./present_definition.ts";
import { oidArray, type Relation } from "./relations.ts";

/** A CHECK or NOT NULL constraint of a table. */
export interface TableConstraint {
  oid: number;
  name: string;
  /** pg_constraint.contype: c or n. */
  type: string;
  /** As `pg_get_constraintdef` writes it. */
  definition: string;
  isLocal: boolean;
  isValidated: boolean;
  noInherit: boolean;
  /** Number of the column of a NOT NULL. */
  column: number | null;
  /** A parent has a constraint of this name that becomes this one by inheritance. */
  isNamedByParent: boolean;
  hasComment: boolean;
  /** The same constraint in the tables that this one inherits from. */
  inheritedFrom: number[];
}

const CONSTRAINTS = `
  select c.conrelid as relation, c.oid, c.conname as name, c.contype as type,
         pg_get_constraintdef(c.oid) as definition, c.conislocal as "isLocal",
         c.convalidated as "isValidated", c.connoinherit as "noInherit",
         case when c.contype = 'n' then c.conkey[1] end as column,
         exists (select from pg_inherits h
                   join pg_constraint pc on pc.conrelid = h.inhparent and pc.contype = c.contype
                  where h.inhrelid = c.conrelid and pc.conname = c.conname
                    and (pc.convalidated or not c.convalidated)) as "isNamedByParent",
         exists (select from pg_description d
                  where d.classoid = 'pg_constraint'::regclass and d.objoid = c.oid)
           as "hasComment",
         array(select pc.oid
                 from pg_inherits h
                 join pg_constraint pc on pc.conrelid = h.inhparent and pc.contype = c.contype
                where h.inhrelid = c.conrelid
                  and case when c.contype = 'c' then pc.conname = c.conname
                           else (select a.attname from pg_attribute a
                                  where a.attrelid = pc.conrelid and a.attnum = pc.conkey[1])
                              = (select a.attname from pg_attribute a
                                  where a.attrelid = c.conrelid and a.attnum = c.conkey[1]) end)
           as "inheritedFrom"
    from unnest($1::oid[]) wanted(oid)
    join pg_constraint c on c.conrelid = wanted.oid and c.contype in ('c', 'n')
   order by c.conrelid, c.conname`;

/** The constraints by oid of their table. */
export async function readTableConstraints(
  context: DumpContext,
  tables: Relation[],
): Promise<Map<number, TableConstraint[]>> {
  const constraints = new Map<number, TableConstraint[]>();
  const oids = oidArray(tables.map((table) => table.oid));
  for (const row of await context.session.query(CONSTRAINTS, [oids])) {
    const constraint = row as TableConstraint;
    const list = constraints.get(row.relation);
    if (list === undefined) constraints.set(row.relation, [constraint]);
    else list.push(constraint);
    presentDefinition(row.definition, `CONSTRAINT ${quoteIdentifier(row.name)}`);
    context.readByFunction.push({ catalog: "pg_constraint", oid: row.oid });
  }
  return constraints;
}

/** Whether CREATE TABLE carries the constraint, at least as long as the order allows it. */
export function isCarried(table: Relation, constraint: TableConstraint): boolean {
  return constraint.isValidated && (constraint.isLocal || table.isPartition);
}

/**
 * Whether an inherited NOT NULL has to be written for its name, which no parent gives: a comment says
 * it. Without one it comes back by the parent's name.
 */
export function needsName(constraint: TableConstraint): boolean {
  return constraint.type === "n" && !constraint.isLocal && constraint.hasComment &&
    !constraint.isNamedByParent;
}

/** Whether the parents make the constraint, by whatever name, and nothing has to be said of it. */
export function comesUnnoticed(constraint: TableConstraint): boolean {
  return constraint.type === "n" && !constraint.isLocal && !constraint.isValidated &&
    !constraint.hasComment;
}

/** The draft of a constraint, wherever it is written. */
export function constraintDraft(table: Relation, constraint: TableConstraint): Draft {
  const name = quoteIdentifier(constraint.name);
  const host = Drafts.key("pg_class", table.oid);
  const isInherited = !constraint.isLocal && !isCarried(table, constraint) &&
    !needsName(constraint);
  const waitsForParents = isInherited && (constraint.type === "c" || !constraint.isValidated);
  const isStatement = !isInherited && (constraint.type === "c" || !constraint.isValidated);
  return {
    catalog: "pg_constraint",
    oid: constraint.oid,
    part: null,
    kind: "check-constraint",
    section: "post-data",
    schema: table.schema,
    name: `${table.name} ${constraint.name}`,
    // Not ONLY: what is added here reaches the children as it did before.
    create: isStatement
      ? [`${table.alter} ${table.sqlName} ADD CONSTRAINT ${name} ${constraint.definition}`]
      : [],
    drop: isStatement ? [`${table.alter} ${table.sqlName} DROP CONSTRAINT ${name}`] : [],
    address: `CONSTRAINT ${name} ON ${table.sqlName}`,
    owner: null,
    commentable: true,
    dependsOn: waitsForParents
      ? [host, ...constraint.inheritedFrom.map((oid) => Drafts.key("pg_constraint", oid))]
      : [host],
    ...(constraint.isValidated ? { inlineIn: host } : {}),
  };
}

/**
 * Puts the NOT NULL constraints that children add by a name of their own before those of their
 * parents, which would give them another name. Needs the drafts of all tables.
 */
export function orderNamedConstraints(
  context: DumpContext,
  constraints: Iterable<TableConstraint[]>,
): void {
  for (const constraint of [...constraints].flat()) {
    if (constraint.type === "c" || constraint.isValidated) continue;
    if (!constraint.isLocal && !needsName(constraint)) continue;
    for (const oid of constraint.inheritedFrom) {
      const parent = context.drafts.get("pg_constraint", oid);
      if (parent?.inlineIn !== undefined) continue;
      parent?.dependsOn.push(Drafts.key("pg_constraint", constraint.oid));
    }
  }
}

/**
 * Lets children keep a NOT NULL that only they have validated when that of their parent is dropped, by
 * making it their own: CREATE TABLE says it of them, as if it always were. Needs the drafts of all tables.
 */
export function keepValidatedByChildren(
  context: DumpContext,
  { tables, constraints }: { tables: Relation[]; constraints: Map<number, TableConstraint[]> },
): void {
  const byOid = new Map([...constraints.values()].flat().map((one) => [one.oid, one]));
  for (const table of tables) {
    for (const constraint of constraints.get(table.oid) ?? []) {
      if (constraint.type !== "n" || constraint.isLocal || !constraint.isValidated) continue;
      if (constraint.inheritedFrom.some((oid) => byOid.get(oid)?.isValidated)) continue;
      const name = quoteIdentifier(constraint.name);
      const own = `${table.alter} ${table.sqlName} ADD CONSTRAINT ${name} ${constraint.definition}`;
      const above = new Set(constraint.inheritedFrom);
      for (const oid of above) {
        for (const parent of byOid.get(oid)?.inheritedFrom ?? []) above.add(parent);
        const draft = context.drafts.get("pg_constraint", oid);
        if (draft !== undefined && draft.drop.length > 0) draft.drop.unshift(own);
      }
    }
  }
}
