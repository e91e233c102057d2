/**
 * Functions, window functions and procedures.
 *
 * @module
 */
import {
  quoteDollar,
  quoteIdentifier,
  quoteLiteral,
  quoteQualified,
} from "../../postgres/quote.ts";
import type { Row } from "../../postgres/session.ts";
import { type CatalogFamily, Drafts, type DumpContext } from "../context.ts";
import { functionNameSql } from "./catalog_names.ts";
import { define, given, isTaken, rightsOf } from "./define.ts";
import { isTypeSupportSql } from "./drop_circular_type.ts";
import { oidArray } from "./relations.ts";
import { HEAD_COLUMNS, isOfSnapshot } from "./routine_head.ts";
import { IS_USERS_ROUTINE, ROUTINE_COLUMNS, ROUTINE_FROM, routineSignature } from "./routine.ts";
import { setClause } from "./setting_statements.ts";

/** Without the functions `$1`; where `$2` is given, only those in it, or with `$3` only those not in it. */
const FUNCTIONS = `
  select ${ROUTINE_COLUMNS}, p.prosrc, p.probin, p.proretset, p.provolatile, p.proisstrict,
         p.prosecdef, p.proleakproof, p.proparallel, p.proconfig, l.lanname,
         p.procost::text as cost, p.prorows::text as rows,
         ${functionNameSql("p.prosupport")} as support,
         array(select format_type(x, null) from unnest(p.protrftypes) x) as transforms,
         pg_get_function_arguments(p.oid) as arguments,
         pg_get_function_result(p.oid) as result, ${HEAD_COLUMNS},
         pg_get_function_sqlbody(p.oid) as sql_body, p.prosqlbody is not null as has_sql_body,
         array(select e.extname::text from pg_depend d join pg_extension e on e.oid = d.refobjid
                where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'x'
                  and d.refclassid = 'pg_extension'::regclass order by 1) as extensions,
         ${isTypeSupportSql("p.oid")} as type_support,
         p.oid in (select to_regprocedure(name)::oid from json_array_elements_text($1) name
                    where to_regprocedure(name) is not null) as is_excluded
    from ${ROUTINE_FROM}
    join pg_language l on l.oid = p.prolang
   where p.prokind <> 'a' and ${IS_USERS_ROUTINE}
     and ($2::oid[] is null or p.oid = any ($2::oid[]) is distinct from $3::bool)
   order by n.nspname, p.proname, p.oid`;

/** The family of pg_proc without aggregates. */
export const functionsFamily: CatalogFamily = {
  name: "functions",
  catalogs: ["pg_proc"],
  async read(context: DumpContext): Promise<void> {
    const excluded = JSON.stringify(context.options.excludeFunctions ?? []);
    const { session, slice } = context;
    const some = slice === null ? null : oidArray(slice.functions);
    const rows = await session.query(FUNCTIONS, [excluded, some, slice?.isRest ?? false]);
    for (const row of rows) {
      if (!isTaken(context, row.schema_oid)) continue;
      if (row.is_excluded) context.leftOut.add(Drafts.key("pg_proc", row.oid));
      else defineFunction(context, row);
    }
  },
};

function defineFunction(context: DumpContext, row: Row): void {
  const { keyword, signature } = routineSignature(row);
  const address = `${keyword} ${signature}`;
  define(context, {
    catalog: "pg_proc",
    oid: row.oid,
    kind: "function",
    schema: row.nspname,
    name: row.proname,
    address,
    owner: row.owner,
    create: [
      createFunction(row, keyword),
      ...row.extensions.map((extension: string) =>
        `ALTER ${address} DEPENDS ON EXTENSION ${quoteIdentifier(extension)}`
      ),
    ],
    // Functions of a type go together with it.
    drop: [`DROP ${keyword} ${row.type_support ? "IF EXISTS " : ""}${signature}`],
    rights: rightsOf(row, { type: keyword, name: signature }),
    // All else but a body of new style is read from the row itself.
    isOfSnapshot: !row.has_sql_body && isOfSnapshot(row),
  });
}

function createFunction(row: Row, keyword: string): string {
  const name = quoteQualified(row.nspname, row.proname);
  const head = `CREATE ${keyword} ${name}(${given(row.arguments, `${keyword} ${name}`)})`;
  const result = keyword === "PROCEDURE"
    ? ""
    : ` RETURNS ${given(row.result, `result of ${name}`)}`;
  const options = [`LANGUAGE ${quoteIdentifier(row.lanname)}`, ...functionOptions(row)];
  const settings = (row.proconfig ?? []).map((item: string) => `\n    ${setClause(item)}`);
  return `${head}${result}\n    ${options.join(" ")}${settings.join("")}\n    ${bodyOf(row, name)}`;
}

const VOLATILITIES: Readonly<Record<string, string>> = { i: "IMMUTABLE", s: "STABLE" };
const PARALLELS: Readonly<Record<string, string>> = { s: "SAFE", r: "RESTRICTED" };

/** What differs from the defaults. */
function functionOptions(row: Row): string[] {
  const options: string[] = [];
  if (row.transforms.length > 0) {
    const types = row.transforms.map((type: string) => `FOR TYPE ${type}`).join(", ");
    options.push(`TRANSFORM ${types}`);
  }
  if (row.prokind === "w") options.push("WINDOW");
  const volatility = VOLATILITIES[row.provolatile];
  if (volatility !== undefined) options.push(volatility);
  if (row.proisstrict) options.push("STRICT");
  if (row.prosecdef) options.push("SECURITY DEFINER");
  if (row.proleakproof) options.push("LEAKPROOF");
  const usualCost = row.lanname === "internal" || row.lanname === "c" ? "1" : "100";
  if (row.cost !== "0" && row.cost !== usualCost) options.push(`COST ${row.cost}`);
  if (row.proretset && row.rows !== "0" && row.rows !== "1000") options.push(`ROWS ${row.rows}`);
  if (row.support !== null) options.push(`SUPPORT ${row.support}`);
  const parallel = PARALLELS[row.proparallel];
  if (parallel !== undefined) options.push(`PARALLEL ${parallel}`);
  return options;
}

function bodyOf(row: Row, name: string): string {
  if (row.has_sql_body) return given(row.sql_body, `body of ${name}`);
  if (!row.probin) return `AS ${quoteDollar(row.prosrc)}`;
  const file = quoteLiteral(row.probin);
  return row.prosrc === "" ? `AS ${file}` : `AS ${file}, ${quoteLiteral(row.prosrc)}`;
}
