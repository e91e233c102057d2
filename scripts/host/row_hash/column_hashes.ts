/**
 * Which hash each column of a table has, as far as it can be made here.
 *
 * @module
 */
import type { BinaryForm, TableData } from "../../../supabase/functions/backup/core/model.ts";
import { type HashForm, hashOfRow } from "../../../supabase/functions/backup/dump/data/mod.ts";

/** The kinds of `row_hash.as`. */
const KIND = {
  bool: 1,
  int2: 2,
  int4: 3,
  int8: 4,
  float4: 5,
  float8: 6,
  numeric: 7,
  bytes: 8,
  interval: 9,
  timetz: 10,
  inet: 11,
  string: 12,
  bpchar: 13,
  jsonb: 14,
  textOfRow: 15,
  array: 16,
} as const;

/** How a column's values are hashed: its kind, and that of the elements of an array. */
export interface ColumnHash {
  kind: number;
  element: number;
}

/** Types with a hash of their own that arrays of them use too. */
const DIRECT: Readonly<Record<string, number>> = {
  bool: KIND.bool,
  int2: KIND.int2,
  int4: KIND.int4,
  int8: KIND.int8,
  oid: KIND.int4,
  float4: KIND.float4,
  float8: KIND.float8,
  numeric: KIND.numeric,
  uuid: KIND.bytes,
  bytea: KIND.bytes,
  date: KIND.int4,
  time: KIND.int8,
  timetz: KIND.timetz,
  timestamp: KIND.int8,
  timestamptz: KIND.int8,
  interval: KIND.interval,
  inet: KIND.inet,
  cidr: KIND.inet,
  macaddr: KIND.bytes,
  macaddr8: KIND.bytes,
  pg_lsn: KIND.int8,
};

/** The others: how they are hashed, and how the server is asked for it. */
const OTHERS: Readonly<Record<string, { kind: number; form: HashForm }>> = {
  text: { kind: KIND.string, form: "string" },
  varchar: { kind: KIND.string, form: "string" },
  name: { kind: KIND.string, form: "string" },
  bpchar: { kind: KIND.bpchar, form: "string" },
  jsonb: { kind: KIND.jsonb, form: "jsonb" },
  json: { kind: KIND.textOfRow, form: "text" },
  enum: { kind: KIND.textOfRow, form: "text" },
};

/**
 * The hashes of a table's columns; null when its rows must be hashed by the server. The expression that is stored
 * with the backup decides: where what is known here would give another one, nothing is taken for granted.
 */
export function columnHashes(data: TableData): ColumnHash[] | null {
  const { columns, columnForms, fingerprintExpression } = data;
  if (data.format !== "binary" || columnForms === undefined) return null;
  const found = columnForms.map(hashOf);
  const known = found.flatMap((column, index) =>
    column === null ? [] : { ...column, name: columns[index]! }
  );
  if (known.length !== columns.length || hashOfRow(known) !== fingerprintExpression) return null;
  return known.map(({ hash }) => hash);
}

function hashOf(form: BinaryForm): { hash: ColumnHash; form: HashForm } | null {
  if (form.kind === "array") {
    const element = form.element.kind === "base" ? DIRECT[form.element.name] : undefined;
    return element === undefined ? null : { hash: { kind: KIND.array, element }, form: "direct" };
  }
  if (form.kind !== "base") return null;
  const direct = DIRECT[form.name];
  if (direct !== undefined) return { hash: { kind: direct, element: 0 }, form: "direct" };
  const other = OTHERS[form.name];
  return other === undefined ? null : { hash: { kind: other.kind, element: 0 }, form: other.form };
}
