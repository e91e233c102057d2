/**
 * Enum types, labels in their order.
 *
 * @module
 */
import { quoteLiteral, quoteQualified } from "../../postgres/quote.ts";
import type { CatalogFamily, DumpContext } from "../context.ts";
import { isTaken } from "./define.ts";
import { defineType, IS_USERS_TYPE, TYPE_COLUMNS, TYPE_FROM } from "./define_type.ts";

const ENUMS = `
  select ${TYPE_COLUMNS},
         array(select e.enumlabel::text from pg_enum e
                where e.enumtypid = t.oid order by e.enumsortorder) as labels
    from ${TYPE_FROM}
   where t.typtype = 'e' and ${IS_USERS_TYPE}
   order by n.nspname, t.typname`;

/** The family of pg_enum. */
export const enumsFamily: CatalogFamily = {
  name: "enums",
  catalogs: ["pg_enum"],
  async read(context: DumpContext): Promise<void> {
    for (const row of await context.session.query(ENUMS)) {
      if (!isTaken(context, row.schema_oid)) continue;
      const labels = row.labels.map((label: string) => `\n    ${quoteLiteral(label)}`).join(",");
      const name = quoteQualified(row.nspname, row.typname);
      defineType(context, row, { create: [`CREATE TYPE ${name} AS ENUM (${labels}\n)`] });
    }
  },
};
