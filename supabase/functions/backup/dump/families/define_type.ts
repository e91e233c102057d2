/**
 * What all kinds of types share: the columns that are read and the draft.
 *
 * @module
 */
import { quoteQualified } from "../../postgres/quote.ts";
import type { Row } from "../../postgres/session.ts";
import type { Draft, DumpContext } from "../context.ts";
import { define, isUsersSql, rightsColumnsSql, rightsOf } from "./define.ts";

/** Columns of `pg_type t` and `pg_namespace n` that {@linkcode defineType} reads. */
export const TYPE_COLUMNS = `t.oid, n.oid as schema_oid, n.nspname, t.typname, ${
  rightsColumnsSql("pg_type", { oid: "t.oid", acl: "t.typacl", owner: "t.typowner", type: "T" })
}`;

/** The FROM clause that goes with {@linkcode TYPE_COLUMNS}. */
export const TYPE_FROM = `pg_type t join pg_namespace n on n.oid = t.typnamespace`;

/** SQL condition: a type of a user's schema that no extension owns. */
export const IS_USERS_TYPE = isUsersSql("pg_type", { oid: "t.oid", schema: "n.nspname" });

/** Adds the draft of a type. */
export function defineType(
  context: DumpContext,
  row: Row,
  parts: {
    create: string[];
    kind?: "type" | "shell-type";
    keyword?: "TYPE" | "DOMAIN";
    drop?: string[];
    dependsOn?: string[];
  },
): Draft {
  const { keyword = "TYPE", kind = "type", ...rest } = parts;
  const name = quoteQualified(row.nspname, row.typname);
  return define(context, {
    catalog: "pg_type",
    oid: row.oid,
    kind,
    schema: row.nspname,
    name: row.typname,
    address: `${keyword} ${name}`,
    owner: row.owner,
    rights: rightsOf(row, { type: "TYPE", name }),
    ...rest,
  });
}

/** Adds the empty type that functions can name before the type itself is made. */
export function defineShell(context: DumpContext, row: Row): void {
  const name = quoteQualified(row.nspname, row.typname);
  context.drafts.add({
    catalog: "pg_type",
    oid: row.oid,
    part: "shell",
    kind: "shell-type",
    section: "pre-data",
    schema: row.nspname,
    name: row.typname,
    create: [`CREATE TYPE ${name}`],
    drop: [],
    address: `SHELL TYPE ${name}`,
    owner: null,
    commentable: false,
    dependsOn: [],
  });
}
