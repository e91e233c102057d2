/**
 * Text search parsers and templates: both are functions under a name.
 *
 * @module
 */
import { quoteQualified } from "../../postgres/quote.ts";
import type { CatalogFamily, DumpContext } from "../context.ts";
import { functionNameSql } from "./catalog_names.ts";
import { define, isTaken, isUsersSql } from "./define.ts";

const PARSERS = `
  select p.oid, n.oid as schema_oid, n.nspname, p.prsname,
         ${functionNameSql("p.prsstart")} as start, ${functionNameSql("p.prstoken")} as token,
         ${functionNameSql("p.prsend")} as end, ${functionNameSql("p.prsheadline")} as headline,
         ${functionNameSql("p.prslextype")} as lextypes
    from pg_ts_parser p join pg_namespace n on n.oid = p.prsnamespace
   where ${isUsersSql("pg_ts_parser", { oid: "p.oid", schema: "n.nspname" })}
   order by n.nspname, p.prsname`;

const TEMPLATES = `
  select t.oid, n.oid as schema_oid, n.nspname, t.tmplname,
         ${functionNameSql("t.tmplinit")} as init, ${functionNameSql("t.tmpllexize")} as lexize
    from pg_ts_template t join pg_namespace n on n.oid = t.tmplnamespace
   where ${isUsersSql("pg_ts_template", { oid: "t.oid", schema: "n.nspname" })}
   order by n.nspname, t.tmplname`;

/** The family of pg_ts_parser. */
export const textSearchParsersFamily: CatalogFamily = {
  name: "text search parsers",
  catalogs: ["pg_ts_parser"],
  async read(context: DumpContext): Promise<void> {
    for (const row of await context.session.query(PARSERS)) {
      if (!isTaken(context, row.schema_oid)) continue;
      const address = `TEXT SEARCH PARSER ${quoteQualified(row.nspname, row.prsname)}`;
      const headline = row.headline === null ? "" : `\n    HEADLINE = ${row.headline},`;
      define(context, {
        catalog: "pg_ts_parser",
        oid: row.oid,
        kind: "text-search-parser",
        schema: row.nspname,
        name: row.prsname,
        address,
        owner: null,
        create: [
          `CREATE ${address} (\n    START = ${row.start},\n    GETTOKEN = ${row.token},` +
          `\n    END = ${row.end},${headline}\n    LEXTYPES = ${row.lextypes}\n)`,
        ],
      });
    }
  },
};

/** The family of pg_ts_template. */
export const textSearchTemplatesFamily: CatalogFamily = {
  name: "text search templates",
  catalogs: ["pg_ts_template"],
  async read(context: DumpContext): Promise<void> {
    for (const row of await context.session.query(TEMPLATES)) {
      if (!isTaken(context, row.schema_oid)) continue;
      const address = `TEXT SEARCH TEMPLATE ${quoteQualified(row.nspname, row.tmplname)}`;
      const init = row.init === null ? "" : `\n    INIT = ${row.init},`;
      define(context, {
        catalog: "pg_ts_template",
        oid: row.oid,
        kind: "text-search-template",
        schema: row.nspname,
        name: row.tmplname,
        address,
        owner: null,
        create: [`CREATE ${address} (${init}\n    LEXIZE = ${row.lexize}\n)`],
      });
    }
  },
};
