/**
 * Aggregates: plain, ordered-set and hypothetical-set.
 *
 * @module
 */
import { quoteLiteral, quoteQualified } from "../../postgres/quote.ts";
import type { Row } from "../../postgres/session.ts";
import type { CatalogFamily, DumpContext } from "../context.ts";
import { functionNameSql, operatorNameSql } from "./catalog_names.ts";
import { define, given, isTaken, rightsOf } from "./define.ts";
import { IS_USERS_ROUTINE, ROUTINE_COLUMNS, ROUTINE_FROM, routineSignature } from "./routine.ts";

const AGGREGATES = `
  select ${ROUTINE_COLUMNS}, p.proparallel, g.aggkind,
         pg_get_function_arguments(p.oid) as arguments,
         pg_get_function_identity_arguments(p.oid) as identity_arguments,
         ${functionNameSql("g.aggtransfn")} as transition,
         format_type(g.aggtranstype, null) as state_type, g.aggtransspace as state_space,
         g.agginitval as initial_value,
         ${functionNameSql("g.aggfinalfn")} as final, g.aggfinalextra as final_extra,
         g.aggfinalmodify as final_modify,
         ${functionNameSql("g.aggcombinefn")} as combine,
         ${functionNameSql("g.aggserialfn")} as serial,
         ${functionNameSql("g.aggdeserialfn")} as deserial,
         ${functionNameSql("g.aggmtransfn")} as moving_transition,
         ${functionNameSql("g.aggminvtransfn")} as moving_inverse,
         format_type(nullif(g.aggmtranstype, 0), null) as moving_state_type,
         g.aggmtransspace as moving_state_space, g.aggminitval as moving_initial_value,
         ${functionNameSql("g.aggmfinalfn")} as moving_final,
         g.aggmfinalextra as moving_final_extra, g.aggmfinalmodify as moving_final_modify,
         ${operatorNameSql("g.aggsortop")} as sort_operator
    from ${ROUTINE_FROM}
    join pg_aggregate g on g.aggfnoid = p.oid
   where p.prokind = 'a' and ${IS_USERS_ROUTINE}
   order by n.nspname, p.proname, p.oid`;

/** The family of pg_aggregate. */
export const aggregatesFamily: CatalogFamily = {
  name: "aggregates",
  catalogs: ["pg_aggregate"],
  async read(context: DumpContext): Promise<void> {
    for (const row of await context.session.query(AGGREGATES)) {
      if (isTaken(context, row.schema_oid)) defineAggregate(context, row);
    }
  },
};

function defineAggregate(context: DumpContext, row: Row): void {
  const name = quoteQualified(row.nspname, row.proname);
  const address = `AGGREGATE ${name}(${identityArguments(row, name)})`;
  const shown = row.argument_types === "" ? "*" : given(row.arguments, `aggregate ${name}`);
  define(context, {
    catalog: "pg_proc",
    oid: row.oid,
    kind: "aggregate",
    schema: row.nspname,
    name: row.proname,
    address,
    owner: row.owner,
    create: [
      `CREATE AGGREGATE ${name}(${shown}) (\n    ${aggregateOptions(row).join(",\n    ")}\n)`,
    ],
    // GRANT knows no aggregates: they are functions of all their arguments.
    rights: rightsOf(row, { type: "FUNCTION", name: routineSignature(row).signature }),
  });
}

function identityArguments(row: Row, name: string): string {
  if (row.argument_types === "") return "*";
  if (row.aggkind === "n") return row.argument_types;
  return given(row.identity_arguments, `aggregate ${name}`);
}

const MODIFIES: Readonly<Record<string, string>> = {
  r: "READ_ONLY",
  s: "SHAREABLE",
  w: "READ_WRITE",
};
const PARALLELS: Readonly<Record<string, string>> = { s: "safe", r: "restricted" };

function aggregateOptions(row: Row): string[] {
  const usualModify = row.aggkind === "n" ? "r" : "w";
  const modify = (value: string) => value === usualModify ? null : MODIFIES[value] ?? null;
  const literal = (value: string | null) => value === null ? null : quoteLiteral(value);
  const size = (value: number) => value === 0 ? null : String(value);
  const options: [string, string | null | true][] = [
    ["SFUNC", row.transition],
    ["STYPE", row.state_type],
    ["SSPACE", size(row.state_space)],
    ["INITCOND", literal(row.initial_value)],
    ["FINALFUNC", row.final],
    ["FINALFUNC_EXTRA", row.final !== null && row.final_extra ? true : null],
    ["FINALFUNC_MODIFY", row.final === null ? null : modify(row.final_modify)],
    ["COMBINEFUNC", row.combine],
    ["SERIALFUNC", row.serial],
    ["DESERIALFUNC", row.deserial],
    ["MSFUNC", row.moving_transition],
    ["MINVFUNC", row.moving_inverse],
    ["MSTYPE", row.moving_state_type],
    ["MSSPACE", size(row.moving_state_space)],
    ["MINITCOND", literal(row.moving_initial_value)],
    ["MFINALFUNC", row.moving_final],
    ["MFINALFUNC_EXTRA", row.moving_final !== null && row.moving_final_extra ? true : null],
    ["MFINALFUNC_MODIFY", row.moving_final === null ? null : modify(row.moving_final_modify)],
    ["SORTOP", row.sort_operator],
    ["HYPOTHETICAL", row.aggkind === "h" ? true : null],
    ["PARALLEL", PARALLELS[row.proparallel] ?? null],
  ];
  return options
    .filter(([, value]) => value !== null)
    .map(([key, value]) => value === true ? key : `${key} = ${value}`);
}
