/**
 * Base types, and types that were only announced. Array types come with their elements.
 *
 * @module
 */
import { quoteLiteral, quoteQualified } from "../../postgres/quote.ts";
import type { Row } from "../../postgres/session.ts";
import type { CatalogFamily, DumpContext } from "../context.ts";
import { Drafts } from "../context.ts";
import { functionNameSql } from "./catalog_names.ts";
import { isTaken } from "./define.ts";
import { defineShell, defineType, IS_USERS_TYPE, TYPE_COLUMNS, TYPE_FROM } from "./define_type.ts";
import { dropCircularType } from "./drop_circular_type.ts";

const TYPES = `
  select ${TYPE_COLUMNS}, t.typisdefined, t.typlen,
         ${functionNameSql("t.typinput")} as input, ${functionNameSql("t.typoutput")} as output,
         ${functionNameSql("t.typreceive")} as receive, ${functionNameSql("t.typsend")} as send,
         ${functionNameSql("t.typmodin")} as typmod_in,
         ${functionNameSql("t.typmodout")} as typmod_out,
         ${functionNameSql("t.typanalyze")} as analyze,
         ${functionNameSql("t.typsubscript")} as subscript,
         t.typcollation <> 0 as collatable,
         pg_get_expr(t.typdefaultbin, 0) as default_expression, t.typdefault as default_literal,
         format_type(nullif(t.typelem, 0), null) as element,
         t.typcategory, t.typispreferred, t.typdelim, t.typalign, t.typstorage, t.typbyval
    from ${TYPE_FROM}
   where (t.typtype = 'b' or not t.typisdefined) and ${IS_USERS_TYPE}
     and not exists (select from pg_type e where e.typarray = t.oid)
   order by n.nspname, t.typname`;

const ALIGNMENTS: Readonly<Record<string, string>> = {
  c: "char",
  s: "int2",
  i: "int4",
  d: "double",
};
const STORAGES: Readonly<Record<string, string>> = {
  p: "plain",
  e: "external",
  x: "extended",
  m: "main",
};

/** The family of base and shell types. */
export const baseTypesFamily: CatalogFamily = {
  name: "base types",
  catalogs: ["pg_type"],
  async read(context: DumpContext): Promise<void> {
    for (const row of await context.session.query(TYPES)) {
      if (!isTaken(context, row.schema_oid)) continue;
      const name = quoteQualified(row.nspname, row.typname);
      if (!row.typisdefined) {
        defineType(context, row, { kind: "shell-type", create: [`CREATE TYPE ${name}`] });
        continue;
      }
      // The server makes a base type only out of an announced one.
      defineShell(context, row);
      defineType(context, row, {
        create: [`CREATE TYPE ${name} (\n    ${baseTypeOptions(row).join(",\n    ")}\n)`],
        drop: [dropCircularType(name)],
        dependsOn: [Drafts.key("pg_type", row.oid, "shell")],
      });
    }
  },
};

function baseTypeOptions(row: Row): string[] {
  const options: [string, string | null][] = [
    ["INTERNALLENGTH", row.typlen === -1 ? "variable" : String(row.typlen)],
    ["INPUT", row.input],
    ["OUTPUT", row.output],
    ["RECEIVE", row.receive],
    ["SEND", row.send],
    ["TYPMOD_IN", row.typmod_in],
    ["TYPMOD_OUT", row.typmod_out],
    ["ANALYZE", row.analyze],
    ["COLLATABLE", row.collatable ? "true" : null],
    ["DEFAULT", defaultOf(row)],
    ["SUBSCRIPT", row.subscript],
    ["ELEMENT", row.element],
    ["CATEGORY", row.typcategory === "U" ? null : quoteLiteral(row.typcategory)],
    ["PREFERRED", row.typispreferred ? "true" : null],
    ["DELIMITER", row.typdelim === "," ? null : quoteLiteral(row.typdelim)],
    ["ALIGNMENT", ALIGNMENTS[row.typalign] ?? null],
    ["STORAGE", STORAGES[row.typstorage] ?? null],
    ["PASSEDBYVALUE", row.typbyval ? "true" : null],
  ];
  return options.filter(([, value]) => value !== null).map(([key, value]) => `${key} = ${value}`);
}

/** The default as an expression, else as a literal; NULL for none. */
export function defaultOf(row: Row): string | null {
  if (row.default_expression !== null) return row.default_expression;
  return row.default_literal === null ? null : quoteLiteral(row.default_literal);
}
