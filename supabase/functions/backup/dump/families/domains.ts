/**
 * Domains with their constraints.
 *
 * @module
 */
import { quoteIdentifier, quoteQualified } from "../../postgres/quote.ts";
import type { Row } from "../../postgres/session.ts";
import type { CatalogFamily, DumpContext } from "../context.ts";
import { Drafts } from "../context.ts";
import { defaultOf } from "./base_types.ts";
import { collationNameSql } from "./catalog_names.ts";
import { given, isTaken } from "./define.ts";
import { defineType, IS_USERS_TYPE, TYPE_COLUMNS, TYPE_FROM } from "./define_type.ts";

const DOMAINS = `
  select ${TYPE_COLUMNS}, t.typnotnull, format_type(t.typbasetype, t.typtypmod) as base_type,
         pg_get_expr(t.typdefaultbin, 'pg_type'::regclass) as default_expression,
         t.typdefault as default_literal,
         ${collationNameSql("nullif(t.typcollation, b.typcollation)")} as collation
    from ${TYPE_FROM}
    join pg_type b on b.oid = t.typbasetype
   where t.typtype = 'd' and ${IS_USERS_TYPE}
   order by n.nspname, t.typname`;

const CONSTRAINTS = `
  select c.oid, c.contypid as domain, c.conname, c.contype, c.convalidated,
         pg_get_constraintdef(c.oid) as definition
    from pg_constraint c
   where c.contypid <> 0
   order by c.conname`;

/** The family of domains. Constraints stand inside CREATE DOMAIN as long as the order allows it. */
export const domainsFamily: CatalogFamily = {
  name: "domains",
  catalogs: ["pg_type", "pg_constraint"],
  async read(context: DumpContext): Promise<void> {
    const domains = await context.session.query(DOMAINS);
    const constraints = Map.groupBy(
      await context.session.query(CONSTRAINTS),
      (row) => row.domain as number,
    );
    for (const row of domains) {
      if (isTaken(context, row.schema_oid)) defineDomain(context, row, constraints.get(row.oid));
    }
  },
};

function defineDomain(context: DumpContext, row: Row, constraints: Row[] = []): void {
  const name = quoteQualified(row.nspname, row.typname);
  const inline = constraints.filter((constraint) => constraint.convalidated);
  const drop = [`DROP DOMAIN ${name}`];
  const withoutInline = (separate: ReadonlySet<string>) => {
    const clauses = inline
      .filter((constraint) => !separate.has(Drafts.key("pg_constraint", constraint.oid)))
      .map((constraint) => `\n    ${constraintClause(constraint)}`);
    // Servers before 17 keep a domain's NOT NULL without a constraint.
    const named = constraints.some((constraint) => constraint.contype === "n");
    const create = `CREATE DOMAIN ${name} AS ${row.base_type}` +
      (row.collation === null ? "" : ` COLLATE ${row.collation}`) +
      (defaultOf(row) === null ? "" : ` DEFAULT ${defaultOf(row)}`) +
      (row.typnotnull && !named ? " NOT NULL" : "") + clauses.join("");
    return { create: [create], drop };
  };
  const draft = defineType(context, row, { keyword: "DOMAIN", ...withoutInline(new Set()) });
  if (inline.length > 0) draft.withoutInline = withoutInline;
  for (const constraint of constraints) defineConstraint(context, row, constraint);
}

function constraintClause(constraint: Row): string {
  const name = quoteIdentifier(constraint.conname);
  return `CONSTRAINT ${name} ${given(constraint.definition, `domain constraint ${name}`)}`;
}

function defineConstraint(context: DumpContext, domain: Row, constraint: Row): void {
  const domainName = quoteQualified(domain.nspname, domain.typname);
  const name = quoteIdentifier(constraint.conname);
  const host = Drafts.key("pg_type", domain.oid);
  context.drafts.add({
    catalog: "pg_constraint",
    oid: constraint.oid,
    part: null,
    kind: "domain-constraint",
    section: "post-data",
    schema: domain.nspname,
    name: `${domain.typname} ${constraint.conname}`,
    create: [`ALTER DOMAIN ${domainName} ADD ${constraintClause(constraint)}`],
    drop: [`ALTER DOMAIN ${domainName} DROP CONSTRAINT ${name}`],
    address: `CONSTRAINT ${name} ON DOMAIN ${domainName}`,
    owner: null,
    commentable: true,
    dependsOn: [host],
    // What is NOT VALID has rows that break it: it comes after the data.
    ...(constraint.convalidated ? { inlineIn: host } : {}),
  });
  context.readByFunction.push({ catalog: "pg_constraint", oid: constraint.oid });
}
