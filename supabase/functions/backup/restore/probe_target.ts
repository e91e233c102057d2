/**
 * Asks a target what no catalog tells: whether it knows the collations and the label providers that a
 * backup names. Every question is taken back.
 *
 * @module
 */
import type { Entry } from "../core/model.ts";
import { DatabaseError } from "../postgres/database_error.ts";
import { quoteIdentifier, quoteLiteral, quoteQualified } from "../postgres/quote.ts";
import type { Session } from "../postgres/session.ts";
import type { LackedCollation } from "./plan_types.ts";

const PROVIDER = /^SECURITY LABEL FOR ("(?:[^"]|"")*") /;
const BUILT_IN_COLLATION = /"pg_catalog"\."((?:[^"]|"")*)"/g;

/** Quoted names of label providers that entries name and that the server has not loaded. */
export async function lackedProviders(
  session: Session,
  entries: readonly Entry[],
): Promise<string[]> {
  const named = new Set(
    entries.flatMap((entry) => entry.statements.label.flatMap((sql) => providerOf(sql) ?? [])),
  );
  const lacked: string[] = [];
  for (const provider of named) {
    // The server looks for the provider before it looks for the table, which does not exist.
    const sql = `SECURITY LABEL FOR ${provider} ON TABLE pg_catalog."no such table" IS NULL`;
    if ((await refusalOf(session, sql))?.sqlState === "22023") lacked.push(provider);
  }
  return lacked;
}

/** The quoted name of the provider in a statement that labels something. */
export function providerOf(statement: string): string | undefined {
  return PROVIDER.exec(statement)?.[1] ??
    // The label of a database stands in a block that fills in the database's name.
    /SECURITY LABEL FOR ("(?:[^"]|"")*") ON DATABASE /.exec(statement)?.[1];
}

/** Collations that entries define or use and that the server cannot provide. */
export async function lackedCollations(
  session: Session,
  entries: readonly Entry[],
  live: readonly Entry[],
): Promise<LackedCollation[]> {
  const collations = (list: readonly Entry[]) => list.filter(({ kind }) => kind === "collation");
  const there = new Set(collations(live).map(({ identity }) => identity));
  const lacked: LackedCollation[] = [];
  for (const { schema, name, identity, statements } of collations(entries)) {
    if (there.has(identity)) continue;
    const place = `pg_temp.${quoteIdentifier(name)}`;
    const sql = statements.create.map((each) =>
      each.replaceAll(quoteQualified(schema!, name), () => place)
    );
    const refusal = await refusalOf(session, sql.join(";\n"));
    // Without the right to make temporary objects nothing can be told.
    if (refusal === null || refusal.sqlState === "42501") continue;
    lacked.push({ name: identity, reason: refusal.facts.serverMessage });
  }
  return [...lacked, ...await lackedBuiltIn(session, entries)];
}

/** Collations of locales, which the server made from what its system offered. */
async function lackedBuiltIn(
  session: Session,
  entries: readonly Entry[],
): Promise<LackedCollation[]> {
  const named = new Set<string>();
  for (const { statements } of entries) {
    for (const sql of statements.create) {
      if (!sql.includes("COLLATE")) continue;
      for (const [, name] of sql.matchAll(BUILT_IN_COLLATION)) {
        if (sql.includes(`COLLATE "pg_catalog"."${name}"`)) named.add(name!.replaceAll('""', '"'));
      }
    }
  }
  if (named.size === 0) return [];
  const names = [...named].map(quoteLiteral).join(", ");
  const rows = await session.query<{ name: string }>(
    `select c.collname::text as name from pg_catalog.pg_collation c
      where c.collnamespace = 'pg_catalog'::regnamespace and c.collname in (${names})
        and c.collencoding in (-1, pg_catalog.pg_char_to_encoding(pg_catalog.getdatabaseencoding()))`,
  );
  const there = new Set(rows.map(({ name }) => name));
  return [...named].filter((name) => !there.has(name)).map((name) => ({
    name: quoteQualified("pg_catalog", name),
    reason: "the server was set up on a system without that locale",
  }));
}

/** What the server says to statements that are taken back in any case; null when it runs them. */
async function refusalOf(session: Session, sql: string): Promise<DatabaseError | null> {
  const inside = session.inTransaction;
  await session.execute(inside ? "SAVEPOINT probe" : "BEGIN");
  let refusal: DatabaseError | null = null;
  try {
    await session.execute(sql);
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.fatal) throw error;
    refusal = error;
  }
  await session.execute(
    inside ? "ROLLBACK TO SAVEPOINT probe; RELEASE SAVEPOINT probe" : "ROLLBACK",
  );
  return refusal;
}
