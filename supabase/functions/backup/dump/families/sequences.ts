/**
 * Sequences: free ones, those that a column owns, those of identity columns, and where they stand.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import { quoteIdentifier, quoteLiteral } from "../../postgres/quote.ts";
import type { Row } from "../../postgres/session.ts";
import { type CatalogFamily, type Draft, Drafts, type DumpContext } from "../context.ts";
import {
  matchesRelation,
  oidArray,
  type Relation,
  relationRights,
  relationsOf,
} from "./relations.ts";

const SEQUENCES = `
  select s.seqrelid as oid, format_type(s.seqtypid, null) as type, s.seqstart as start,
         s.seqincrement as increment, s.seqmin as minimum, s.seqmax as maximum, s.seqcache as cache,
         s.seqcycle as cycle, d.deptype as owner_kind, d.refobjid as owner_oid, a.attname as column,
         a.attidentity as identity
    from unnest($1::oid[]) wanted(oid)
    join pg_sequence s on s.seqrelid = wanted.oid
    left join pg_depend d
      on d.classid = 'pg_class'::regclass and d.objid = s.seqrelid and d.objsubid = 0
     and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
    left join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
   order by s.seqrelid`;

const VALUES_18 = `
  select wanted.oid, v.last_value, v.is_called
    from unnest($1::oid[]) wanted(oid), pg_get_sequence_data(wanted.oid) v`;

/** Sequences whose state one query reads on servers before 18. */
const BATCH = 200;

/** The family of pg_sequence. */
export const sequencesFamily: CatalogFamily = {
  name: "sequences",
  catalogs: ["pg_sequence"],
  async read(context: DumpContext): Promise<void> {
    const relations = await relationsOf(context);
    const sequences = [...relations.values()].filter((one) =>
      one.kind === "S" && (one.isDefined || one.configuration !== null)
    );
    if (sequences.length === 0) return;
    const oids = oidArray(sequences.map((one) => one.oid));
    for (const row of await context.session.query(SEQUENCES, [oids])) {
      const sequence = relations.get(row.oid)!;
      if (!sequence.isDefined) continue;
      const owner = row.owner_oid === null ? undefined : relations.get(row.owner_oid);
      addSequence(context, sequence, { row, owner });
    }
    await addValues(context, sequences);
  },
};

/** The sequence's row and the table that owns it. */
interface Ownership {
  row: Row;
  owner: Relation | undefined;
}

function addSequence(context: DumpContext, sequence: Relation, { row, owner }: Ownership): void {
  const isIdentity = row.owner_kind === "i";
  const draft: Draft = {
    catalog: "pg_class",
    oid: sequence.oid,
    part: null,
    kind: "sequence",
    section: "pre-data",
    schema: sequence.schema,
    name: sequence.name,
    create: [
      isIdentity ? addIdentity(sequence, { row, owner }) : createSequence(sequence, row),
    ],
    drop: isIdentity ? [] : [`DROP ${sequence.address}`],
    address: sequence.address,
    // An identity column's sequence has the table's owner and no other.
    owner: isIdentity ? null : sequence.owner,
    rights: relationRights(sequence),
    commentable: true,
    dependsOn: isIdentity ? [Drafts.key("pg_class", row.owner_oid)] : [],
  };
  context.drafts.add(draft);
  if (!isIdentity && owner?.isDefined) addOwnedBy(context, draft, { row, owner });
}

function createSequence(sequence: Relation, row: Row): string {
  const unlogged = sequence.row.persistence === "u" ? "UNLOGGED " : "";
  return `CREATE ${unlogged}${sequence.address} AS ${row.type}\n    ${options(row)}`;
}

function options(row: Row): string {
  return `START WITH ${row.start} INCREMENT BY ${row.increment} MINVALUE ${row.minimum} ` +
    `MAXVALUE ${row.maximum} CACHE ${row.cache}${row.cycle ? " CYCLE" : ""}`;
}

// Not ONLY: partitions of the table share its identity.
function addIdentity(sequence: Relation, { row, owner }: Ownership): string {
  if (owner === undefined) {
    throw new BackupError(
      "internal",
      `Cannot save sequence ${sequence.sqlName}: the table of its identity column was not read`,
    );
  }
  const persistence = sequence.row.persistence === owner.row.persistence
    ? ""
    : sequence.row.persistence === "u"
    ? " UNLOGGED"
    : " LOGGED";
  return `${owner.alter} ${owner.sqlName} ALTER COLUMN ${quoteIdentifier(row.column)} ` +
    `ADD GENERATED ${row.identity === "a" ? "ALWAYS" : "BY DEFAULT"} AS IDENTITY (\n` +
    `    SEQUENCE NAME ${sequence.sqlName}${persistence}\n    ${options(row)}\n)`;
}

// On its own because table and sequence must have the same owner by then.
function addOwnedBy(context: DumpContext, sequence: Draft, { row, owner }: Ownership): void {
  const name = sequence.rights!.grantName;
  const table = owner!;
  context.drafts.add({
    catalog: "pg_class",
    oid: sequence.oid,
    part: "owned-by",
    kind: "sequence",
    section: "pre-data",
    schema: sequence.schema,
    name: sequence.name,
    create: [`ALTER SEQUENCE ${name} OWNED BY ${table.sqlName}.${quoteIdentifier(row.column)}`],
    drop: [],
    address: `SEQUENCE OWNED BY ${name}`,
    owner: null,
    commentable: false,
    dependsOn: [Drafts.key("pg_class", sequence.oid), Drafts.key("pg_class", table.oid)],
  });
}

async function addValues(context: DumpContext, sequences: Relation[]): Promise<void> {
  const wanted = sequences.filter((one) =>
    !matchesRelation(context.options.excludeTableData, one.schema, one.name)
  );
  const values = context.version >= 180000
    ? await context.session.query(VALUES_18, [oidArray(wanted.map((one) => one.oid))])
    : await readValues(context, wanted);
  const byOid = new Map(values.map((row) => [row.oid, row]));
  for (const sequence of wanted) {
    const row = byOid.get(sequence.oid);
    if (row === undefined || row.last_value === null || row.is_called === null) {
      throw new BackupError(
        "insufficient_privilege",
        `Cannot read sequence ${sequence.sqlName}: the role has no right to, or it was dropped`,
        { hint: `Grant SELECT on ${sequence.sqlName} to the role that makes the backup.` },
      );
    }
    addValue(context, sequence, { lastValue: row.last_value, isCalled: row.is_called });
  }
}

async function readValues(context: DumpContext, sequences: Relation[]): Promise<Row[]> {
  const rows: Row[] = [];
  for (let from = 0; from < sequences.length; from += BATCH) {
    const sql = sequences.slice(from, from + BATCH)
      .map((one) => `select ${one.oid}::oid as oid, last_value, is_called from ${one.sqlName}`)
      .join(" union all ");
    rows.push(...await context.session.query(sql));
  }
  return rows;
}

function addValue(
  context: DumpContext,
  sequence: Relation,
  value: { lastValue: string; isCalled: boolean },
): void {
  context.drafts.add({
    catalog: "pg_class",
    oid: sequence.oid,
    part: "set",
    kind: "sequence-set",
    section: "data",
    schema: sequence.schema,
    name: sequence.name,
    create: [
      `SELECT pg_catalog.setval(${
        quoteLiteral(sequence.sqlName)
      }, ${value.lastValue}, ${value.isCalled})`,
    ],
    drop: [],
    address: `SEQUENCE SET ${sequence.sqlName}`,
    owner: null,
    commentable: false,
    dependsOn: [Drafts.key("pg_class", sequence.oid)],
    sequence: value,
    ...(sequence.extension === null ? {} : { extension: sequence.extension }),
  });
}
