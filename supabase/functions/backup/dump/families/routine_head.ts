/**
 * Proof that what the server wrote of a function's parameters and result is of the backup's moment, although
 * `pg_get_*` reads the present: the same text can be put together from the snapshot's own row.
 *
 * Only the text of a default comes from the present here too. The row holds all defaults as one expression, of
 * which `pg_get_expr` writes the list; each is believed when together they are that list.
 *
 * @module
 */
import type { Row } from "../../postgres/session.ts";

const INPUTS = "('i', 'b', 'v')";

/** Columns of `pg_proc p` that {@linkcode isOfSnapshot} needs. */
export const HEAD_COLUMNS = `
         format_type(p.prorettype, null) as returns,
         pg_get_expr(p.proargdefaults, 0) as defaults,
         (select json_agg(json_build_array(a.mode, quote_ident(nullif(a.name, '')), format_type(a.type, null),
                   case when a.mode in ${INPUTS} and a.input > p.pronargs - p.pronargdefaults
                     then pg_get_function_arg_default(p.oid, a.position) end) order by a.position)
            from (select t.position::int, t.type, p.proargnames[t.position] as name,
                         coalesce(p.proargmodes[t.position], 'i') as mode,
                         count(*) filter (where coalesce(p.proargmodes[t.position], 'i') in ${INPUTS})
                           over (order by t.position) as input
                    from unnest(coalesce(p.proallargtypes, p.proargtypes::oid[]))
                         with ordinality as t(type, position)) a) as parameters`;

/** A parameter as the snapshot's row says it: the mode as in `proargmodes`, the name quoted where it needs to be. */
type Parameter = [mode: string, name: string | null, type: string, byDefault: string | null];

const MODES: Readonly<Record<string, string>> = { o: "OUT ", b: "INOUT ", v: "VARIADIC " };

/** Whether the texts `arguments` and `result` of the row are those of the snapshot; false when that cannot be told. */
export function isOfSnapshot(row: Row): boolean {
  const parameters: Parameter[] = row.parameters ?? [];
  const defaults = parameters.flatMap(([, , , byDefault]) => byDefault ?? []);
  if ((row.defaults ?? "") !== defaults.join(", ")) return false;
  const isProcedure = row.prokind === "p";
  const write = (listed: Parameter[]) =>
    listed.map(([mode, name, type, byDefault]) => {
      const word = MODES[mode] ?? (isProcedure ? "IN " : "");
      return (mode === "t" ? "" : word) + (name === null ? "" : `${name} `) + type +
        (byDefault === null ? "" : ` DEFAULT ${byDefault}`);
    }).join(", ");
  if (row.arguments !== write(parameters.filter(([mode]) => mode !== "t"))) return false;
  if (isProcedure) return row.result === null;
  const columns = parameters.filter(([mode]) => mode === "t");
  const plain = `${row.proretset ? "SETOF " : ""}${row.returns}`;
  return row.result === (columns.length > 0 ? `TABLE(${write(columns)})` : plain);
}
