/**
 * Collations. Their version is not written: the target's own library decides it.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import { quoteLiteral, quoteQualified } from "../../postgres/quote.ts";
import type { Row } from "../../postgres/session.ts";
import type { CatalogFamily, DumpContext } from "../context.ts";
import { roleNameSql } from "./catalog_names.ts";
import { define, isTaken, isUsersSql } from "./define.ts";

/** Column names changed in 16 and 17. */
function collationsSql(version: number): string {
  return `
  select c.oid, n.oid as schema_oid, n.nspname, c.collname, ${roleNameSql("c.collowner")} as owner,
         c.collprovider, c.collisdeterministic, c.collcollate, c.collctype,
         ${version >= 170000 ? "c.colllocale" : "c.colliculocale"} as locale,
         ${version >= 160000 ? "c.collicurules" : "null::text"} as rules
    from pg_collation c join pg_namespace n on n.oid = c.collnamespace
   where ${isUsersSql("pg_collation", { oid: "c.oid", schema: "n.nspname" })}
   order by n.nspname, c.collname, c.oid`;
}

const PROVIDERS: Readonly<Record<string, string>> = { b: "builtin", c: "libc", i: "icu" };

/** The family of pg_collation. */
export const collationsFamily: CatalogFamily = {
  name: "collations",
  catalogs: ["pg_collation"],
  async read(context: DumpContext): Promise<void> {
    for (const row of await context.session.query(collationsSql(context.version))) {
      if (!isTaken(context, row.schema_oid)) continue;
      const address = `COLLATION ${quoteQualified(row.nspname, row.collname)}`;
      define(context, {
        catalog: "pg_collation",
        oid: row.oid,
        kind: "collation",
        schema: row.nspname,
        name: row.collname,
        address,
        owner: row.owner,
        create: [`CREATE ${address} (${collationOptions(row, address).join(", ")})`],
      });
    }
  },
};

function collationOptions(row: Row, address: string): string[] {
  const provider = PROVIDERS[row.collprovider];
  if (provider === undefined) {
    throw new BackupError("unsupported_object", `Cannot save ${address}: its provider is unknown`, {
      hint: "Update to a release that knows this version of PostgreSQL.",
    });
  }
  const options = [`provider = ${provider}`];
  if (!row.collisdeterministic) options.push("deterministic = false");
  if (row.locale !== null) options.push(`locale = ${quoteLiteral(row.locale)}`);
  else if (row.collcollate === row.collctype) {
    options.push(`locale = ${quoteLiteral(row.collcollate)}`);
  } else {
    options.push(`lc_collate = ${quoteLiteral(row.collcollate)}`);
    options.push(`lc_ctype = ${quoteLiteral(row.collctype)}`);
  }
  if (row.rules !== null) options.push(`rules = ${quoteLiteral(row.rules)}`);
  return options;
}
