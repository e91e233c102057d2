/**
 * Proof that definitions are of the backup's moment. `pg_get_*` functions read the current catalog,
 * not the snapshot's; so the rows they were asked about, and the rows those refer to by name, are
 * noted in the snapshot and looked up again by a session that sees the present. That a row has the same
 * version says that it never changed: a name that is only the same again may have been another in between.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { Session } from "../postgres/session.ts";
import type { DumpContext } from "./context.ts";
import { sideBySide } from "./side_by_side.ts";

/** Catalogs whose rows appear, by name or in full, in what `pg_get_*` writes. */
const WATCHED: Readonly<Record<string, string>> = {
  pg_class: "relname",
  pg_proc: "proname",
  pg_type: "typname",
  pg_constraint: "conname",
  pg_operator: "oprname",
  pg_opclass: "opcname",
  pg_opfamily: "opfname",
  pg_cast: "castsource",
  pg_transform: "trftype",
  pg_collation: "collname",
  pg_namespace: "nspname",
  pg_rewrite: "rulename",
  pg_trigger: "tgname",
  pg_attrdef: "adrelid",
  pg_policy: "polname",
  pg_statistic_ext: "stxname",
  pg_publication_rel: "prrelid",
  pg_ts_config: "cfgname",
  pg_language: "lanname",
};

/** Rows of one catalog as they were. */
export interface RowVersions {
  catalog: string;
  /** Which rows, as the text of an `oid[]`. */
  oids: string;
  /**
   * JSON of `[oid, xmin, name]` for each row, in the order of oids: the transaction that wrote the row and its
   * name. One text, as the server writes it, because nearly always it is only compared.
   */
  rows: string;
}

/** Rows by catalog. */
type Rows = Map<string, Set<number>>;

/**
 * Notes the versions of all rows that definitions came from, but for what was proved to be of the snapshot: a
 * function may be replaced at any time, as long as nothing but a trigger names it. Runs in the backup's snapshot.
 */
export async function noteRowVersions(context: DumpContext): Promise<RowVersions[]> {
  const wanted: Rows = new Map();
  const [referring, referringProved]: [Rows, Rows] = [new Map(), new Map()];
  for (const read of context.readByFunction) {
    const { catalog, oid, isOfSnapshot = false, areFunctionsOfSnapshot = false } = read;
    if (!isOfSnapshot) oidsOf(wanted, catalog).add(oid);
    oidsOf(areFunctionsOfSnapshot ? referringProved : referring, catalog).add(oid);
  }
  const { session } = context;
  for (
    const [catalog, oids] of (await sideBySide([
      readReferences(session, referring, "true"),
      readReferences(session, referringProved, "c.relname <> 'pg_proc'"),
    ])).flat()
  ) {
    if (!(catalog in WATCHED)) continue;
    for (const oid of oids) oidsOf(wanted, catalog).add(oid);
  }
  return await sideBySide([...wanted].map(async ([catalog, set]) => {
    const oids = oidArray(set);
    return { catalog, oids, rows: await readRows(context.session, { catalog, oids }) };
  }));
}

/** What rows refer to, by catalog. @param where which catalogs `c` count */
async function readReferences(
  session: Session,
  rows: Rows,
  where: string,
): Promise<[catalog: string, oids: number[]][]> {
  const asked = [...rows].map(([catalog, oids]) =>
    session.query(
      `select c.relname as catalog, array_agg(distinct d.refobjid) as oids
         from pg_depend d join pg_class c on c.oid = d.refclassid
        where d.classid = $1::regclass and d.objid = any ($2::oid[]) and ${where}
        group by c.relname`,
      [`pg_catalog.${catalog}`, oidArray(oids)],
    )
  );
  return (await sideBySide(asked)).flat().map(({ catalog, oids }) => [catalog, oids]);
}

async function readRows(session: Session, { catalog, oids }: Omit<RowVersions, "rows">) {
  const [row] = await session.query(
    `select json_agg(json_build_array(oid, xmin, ${
      WATCHED[catalog] ?? "oid"
    }::text) order by oid)::text as rows
       from pg_catalog.${catalog}
      where oid = any ($1::oid[])`,
    [oids],
  );
  return row!.rows ?? "[]";
}

/**
 * Compares with the present.
 *
 * @param session sees the present: outside any transaction, or READ COMMITTED
 * @throws {BackupError} `concurrent_ddl`, naming up to ten of the objects that changed
 */
export async function recheck(session: Session, noted: readonly RowVersions[]): Promise<void> {
  const present = await sideBySide(noted.map((versions) => readRows(session, versions)));
  const changed = noted.flatMap((versions, at) =>
    present[at] === versions.rows ? [] : namesOfChanged(versions, present[at]!)
  );
  if (changed.length === 0) return;
  const names = changed.slice(0, 10);
  throw new BackupError(
    "concurrent_ddl",
    `Cannot save the definitions: ${changed.length} changed while they were read: ${
      names.join(", ")
    }`,
    { hint: "Begin the backup again when no migration is running.", details: { changed: names } },
  );
}

/** A row that is there no more has changed too; one that has a new name only has a new version of itself. */
function namesOfChanged({ catalog, rows }: RowVersions, now: string): string[] {
  const writers = new Map<number, string>();
  for (const [oid, xmin] of JSON.parse(now)) writers.set(oid, xmin);
  return (JSON.parse(rows) as [number, string, string][])
    .filter(([oid, xmin]) => writers.get(oid) !== xmin)
    .map(([, , name]) => `${name} (${catalog})`);
}

function oidsOf(wanted: Rows, catalog: string): Set<number> {
  let oids = wanted.get(catalog);
  if (oids === undefined) wanted.set(catalog, oids = new Set());
  return oids;
}

function oidArray(oids: ReadonlySet<number>): string {
  return `{${[...oids].join(",")}}`;
}
