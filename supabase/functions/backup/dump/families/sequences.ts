/**
 * Sequences: free ones, those that a column owns, those of identity columns, and where they stand.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import { quoteIdentifier, quoteLiteral } from "../../postgres/quote.ts";
import type { Row } from "../../postgres/session.ts";
import { type CatalogFamily, Drafts, type DumpContext } from "../context.ts";
import type { Column } from "./columns.ts";
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
         s.seqcycle as cycle,
         has_sequence_privilege(s.seqrelid, 'SELECT')
           and has_schema_privilege(c.relnamespace, 'USAGE') as is_readable
    from unnest($1::oid[]) wanted(oid)
    join pg_sequence s on s.seqrelid = wanted.oid
    join pg_class c on c.oid = s.seqrelid
   order by s.seqrelid`;

const VALUES_18 = `
  select wanted.oid, v.last_value, v.is_called
    from unnest($1::oid[]) wanted(oid), pg_get_sequence_data(wanted.oid) v`;

// Before 18 only the sequence itself tells whether it was called, and one query is to read them all.
const VALUES = `
  select seen.oid, substring(seen.state from '<last_value>(-?[0-9]+)<') as last_value,
         substring(seen.state from '<is_called>([a-z]+)<') = 'true' as is_called
    from (select wanted.oid,
                 query_to_xml(format('select last_value, is_called from %s', wanted.oid::regclass),
                              false, true, '')::text as state
            from unnest($1::oid[]) wanted(oid)) seen`;

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
    const readable: Relation[] = [];
    for (const row of await context.session.query(SEQUENCES, [oids])) {
      const sequence = relations.get(row.oid)!;
      if (sequence.isDefined) addSequence(context, sequence, { row, relations });
      if (!hasSavedValue(context, sequence)) continue;
      if (row.is_readable) readable.push(sequence);
      else refuseOrRemark(context, sequence);
    }
    await addValues(context, readable);
  },
};

/** The sequence's row and where to find the table that owns it. */
interface Details {
  row: Row;
  relations: Map<number, Relation>;
}

function addSequence(context: DumpContext, sequence: Relation, { row, relations }: Details): void {
  const owner = relations.get(sequence.row.owner_oid);
  const isIdentity = sequence.row.owner_kind === "i";
  context.drafts.add({
    catalog: "pg_class",
    oid: sequence.oid,
    part: null,
    kind: "sequence",
    section: "pre-data",
    schema: sequence.schema,
    name: sequence.name,
    create: [
      isIdentity ? addIdentity(sequence, owner!, row) : createSequence(sequence, row),
    ],
    drop: isIdentity ? [] : [`DROP ${sequence.address}`],
    address: sequence.address,
    // An identity column's sequence has the table's owner and no other.
    owner: isIdentity ? null : sequence.owner,
    rights: relationRights(sequence),
    commentable: true,
    dependsOn: isIdentity ? [Drafts.key("pg_class", owner!.oid)] : [],
  });
  if (!isIdentity && owner?.isDefined) addOwnedBy(context, sequence, owner);
}

function createSequence(sequence: Relation, row: Row): string {
  const unlogged = sequence.row.persistence === "u" ? "UNLOGGED " : "";
  return `CREATE ${unlogged}${sequence.address} AS ${row.type}\n    ${options(row)}`;
}

function options(row: Row): string {
  return `START WITH ${row.start} INCREMENT BY ${row.increment} MINVALUE ${row.minimum} ` +
    `MAXVALUE ${row.maximum} CACHE ${row.cache}${row.cycle ? " CYCLE" : ""}`;
}

function ownerColumn(sequence: Relation, owner: Relation): Column {
  const column = owner.columns.find((one) => one.number === sequence.row.owner_column);
  if (column !== undefined) return column;
  throw new BackupError(
    "concurrent_ddl",
    `Cannot save sequence ${sequence.sqlName}: its column of ${owner.sqlName} is gone`,
    { hint: "It was probably dropped while it was read. Start the backup again." },
  );
}

// Not ONLY: partitions of the table share its identity.
function addIdentity(sequence: Relation, owner: Relation, row: Row): string {
  const column = ownerColumn(sequence, owner);
  const persistence = sequence.row.persistence === owner.row.persistence
    ? ""
    : sequence.row.persistence === "u"
    ? " UNLOGGED"
    : " LOGGED";
  return `${owner.alter} ${owner.sqlName} ALTER COLUMN ${quoteIdentifier(column.name)} ` +
    `ADD GENERATED ${column.identity === "a" ? "ALWAYS" : "BY DEFAULT"} AS IDENTITY (\n` +
    `    SEQUENCE NAME ${sequence.sqlName}${persistence}\n    ${options(row)}\n)`;
}

// On its own because table and sequence must have the same owner by then.
function addOwnedBy(context: DumpContext, sequence: Relation, owner: Relation): void {
  const column = quoteIdentifier(ownerColumn(sequence, owner).name);
  context.drafts.add({
    catalog: "pg_class",
    oid: sequence.oid,
    part: "owned-by",
    kind: "sequence",
    section: "pre-data",
    schema: sequence.schema,
    name: sequence.name,
    create: [`ALTER ${sequence.address} OWNED BY ${owner.sqlName}.${column}`],
    drop: [],
    address: `SEQUENCE OWNED BY ${sequence.sqlName}`,
    owner: null,
    commentable: false,
    dependsOn: [Drafts.key("pg_class", sequence.oid), Drafts.key("pg_class", owner.oid)],
  });
}

function hasSavedValue(context: DumpContext, sequence: Relation): boolean {
  return !matchesRelation(context.options.excludeTableData, sequence.schema, sequence.name);
}

// What the platform keeps from the role is the platform's; anything else is missed for good.
function refuseOrRemark(context: DumpContext, sequence: Relation): void {
  if (context.schemas.get(sequence.row.schema_oid)?.managed) {
    context.remarks.push(
      `The state of sequence ${sequence.sqlName} is left out: the role may not read it`,
    );
    return;
  }
  throw new BackupError(
    "insufficient_privilege",
    `Cannot read sequence ${sequence.sqlName}: the role has no right to`,
    { hint: `Grant SELECT on ${sequence.sqlName} to the role that makes the backup.` },
  );
}

async function addValues(context: DumpContext, sequences: Relation[]): Promise<void> {
  const values = await context.session.query(
    context.version >= 180000 ? VALUES_18 : VALUES,
    [oidArray(sequences.map((one) => one.oid))],
  );
  const byOid = new Map(values.map((row) => [row.oid, row]));
  for (const sequence of sequences) {
    const row = byOid.get(sequence.oid);
    if (row === undefined || row.last_value === null || row.is_called === null) {
      throw new BackupError(
        "concurrent_ddl",
        `Cannot read sequence ${sequence.sqlName}: the server has no state of it`,
        { hint: "It was probably dropped while it was read. Start the backup again." },
      );
    }
    addValue(context, sequence, { lastValue: row.last_value, isCalled: row.is_called });
  }
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
    dependsOn: [sequence.extensionKey ?? Drafts.key("pg_class", sequence.oid)],
    sequence: value,
    ...(sequence.extension === null ? {} : { extension: sequence.extension }),
  });
}
