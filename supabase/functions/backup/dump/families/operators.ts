/**
 * Operators.
 *
 * @module
 */
import { quoteIdentifier } from "../../postgres/quote.ts";
import type { Row } from "../../postgres/session.ts";
import type { CatalogFamily, DumpContext } from "../context.ts";
import {
  functionNameSql,
  operatorNameSql,
  operatorSignatureSql,
  roleNameSql,
} from "./catalog_names.ts";
import { define, isTaken, isUsersSql } from "./define.ts";

// An operator without a function was only named as another's commutator or negator: naming it there
// makes it again.
const OPERATORS = `
  select o.oid, n.oid as schema_oid, n.nspname, o.oprname, ${roleNameSql("o.oprowner")} as owner,
         ${operatorSignatureSql("o.oid")} as signature,
         ${functionNameSql("o.oprcode")} as function,
         format_type(nullif(o.oprleft, 0), null) as left_type,
         format_type(nullif(o.oprright, 0), null) as right_type,
         ${operatorNameSql("o.oprcom")} as commutator, ${operatorNameSql("o.oprnegate")} as negator,
         o.oprcanmerge, o.oprcanhash,
         array(select ${operatorSignatureSql("shell.oid")} from pg_operator shell
                where shell.oid in (o.oprcom, o.oprnegate) and shell.oprcode = 0) as shells,
         ${functionNameSql("o.oprrest")} as restrict, ${functionNameSql("o.oprjoin")} as join
    from pg_operator o join pg_namespace n on n.oid = o.oprnamespace
   where o.oprcode <> 0
     and ${isUsersSql("pg_operator", { oid: "o.oid", schema: "n.nspname" })}
   order by n.nspname, o.oprname, o.oid`;

/** The family of pg_operator. */
export const operatorsFamily: CatalogFamily = {
  name: "operators",
  catalogs: ["pg_operator"],
  async read(context: DumpContext): Promise<void> {
    for (const row of await context.session.query(OPERATORS)) {
      if (!isTaken(context, row.schema_oid)) continue;
      // An operator's name holds operator characters only and cannot be quoted.
      const name = `${quoteIdentifier(row.nspname)}.${row.oprname}`;
      define(context, {
        catalog: "pg_operator",
        oid: row.oid,
        kind: "operator",
        schema: row.nspname,
        name: row.oprname,
        address: `OPERATOR ${row.signature}`,
        owner: row.owner,
        // What only this operator names goes with it.
        drop: [
          `DROP OPERATOR ${row.signature}`,
          ...row.shells.map((shell: string) => `DROP OPERATOR IF EXISTS ${shell}`),
        ],
        create: [`CREATE OPERATOR ${name} (\n    ${operatorOptions(row).join(",\n    ")}\n)`],
      });
    }
  },
};

function operatorOptions(row: Row): string[] {
  const options: [string, string | null | true][] = [
    ["FUNCTION", row.function],
    ["LEFTARG", row.left_type],
    ["RIGHTARG", row.right_type],
    ["COMMUTATOR", row.commutator],
    ["NEGATOR", row.negator],
    ["MERGES", row.oprcanmerge ? true : null],
    ["HASHES", row.oprcanhash ? true : null],
    ["RESTRICT", row.restrict],
    ["JOIN", row.join],
  ];
  return options
    .filter(([, value]) => value !== null)
    .map(([key, value]) => value === true ? key : `${key} = ${value}`);
}
