/**
 * Conversions between encodings.
 *
 * @module
 */
import { quoteLiteral, quoteQualified } from "../../postgres/quote.ts";
import type { CatalogFamily, DumpContext } from "../context.ts";
import { functionNameSql, roleNameSql } from "./catalog_names.ts";
import { define, isTaken, isUsersSql } from "./define.ts";

const CONVERSIONS = `
  select c.oid, n.oid as schema_oid, n.nspname, c.conname, ${roleNameSql("c.conowner")} as owner,
         pg_encoding_to_char(c.conforencoding) as from_encoding,
         pg_encoding_to_char(c.contoencoding) as to_encoding,
         ${functionNameSql("c.conproc")} as function, c.condefault
    from pg_conversion c join pg_namespace n on n.oid = c.connamespace
   where ${isUsersSql("pg_conversion", { oid: "c.oid", schema: "n.nspname" })}
   order by n.nspname, c.conname`;

/** The family of pg_conversion. */
export const conversionsFamily: CatalogFamily = {
  name: "conversions",
  catalogs: ["pg_conversion"],
  async read(context: DumpContext): Promise<void> {
    for (const row of await context.session.query(CONVERSIONS)) {
      if (!isTaken(context, row.schema_oid)) continue;
      const name = quoteQualified(row.nspname, row.conname);
      const from = quoteLiteral(row.from_encoding);
      const to = quoteLiteral(row.to_encoding);
      define(context, {
        catalog: "pg_conversion",
        oid: row.oid,
        kind: "conversion",
        schema: row.nspname,
        name: row.conname,
        address: `CONVERSION ${name}`,
        owner: row.owner,
        create: [
          `CREATE ${
            row.condefault ? "DEFAULT " : ""
          }CONVERSION ${name} FOR ${from} TO ${to} FROM ${row.function}`,
        ],
      });
    }
  },
};
