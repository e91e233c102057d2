/**
 * Proof that definitions are of the backup's moment. `pg_get_*` functions read the current catalog,
 * not the snapshot's; so the rows they were asked about, and the rows those refer to by name, are
 * noted in the snapshot and looked up again by a session that sees the present.
 *
 * @module
 */
import { BackupError } from "../core/errors.ts";
import type { Session } from "../postgres/session.ts";
import type { DumpContext } from "./context.ts";

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

/** A catalog row as it was: the transaction that wrote it and its name. */
export interface RowVersion {
  catalog: string;
  oid: number;
  xmin: number;
  name: string;
}

/** Notes the versions of all rows that definitions came from; runs in the backup's snapshot. */
export async function noteRowVersions(context: DumpContext): Promise<RowVersion[]> {
  const wanted = new Map<string, Set<number>>();
  for (const { catalog, oid } of context.readByFunction) oidsOf(wanted, catalog).add(oid);
  await addReferences(context.session, wanted);
  return await readVersions(context.session, wanted);
}

async function addReferences(session: Session, wanted: Map<string, Set<number>>): Promise<void> {
  for (const [catalog, oids] of [...wanted]) {
    const rows = await session.query(
      `select distinct c.relname as catalog, d.refobjid as oid
         from pg_depend d join pg_class c on c.oid = d.refclassid
        where d.classid = $1::regclass and d.objid = any ($2::oid[])`,
      [`pg_catalog.${catalog}`, oidArray(oids)],
    );
    for (const row of rows) {
      if (row.catalog in WATCHED) oidsOf(wanted, row.catalog).add(row.oid);
    }
  }
}

async function readVersions(
  session: Session,
  wanted: ReadonlyMap<string, ReadonlySet<number>>,
): Promise<RowVersion[]> {
  const versions: RowVersion[] = [];
  for (const [catalog, oids] of wanted) {
    const name = WATCHED[catalog] ?? "oid";
    const rows = await session.query(
      `select oid, xmin, ${name}::text as name from pg_catalog.${catalog}
        where oid = any ($1::oid[])`,
      [oidArray(oids)],
    );
    for (const row of rows) {
      versions.push({ catalog, oid: row.oid, xmin: Number(row.xmin), name: row.name });
    }
  }
  return versions;
}

/**
 * Compares with the present.
 *
 * @param session sees the present: outside any transaction, or READ COMMITTED
 * @throws {BackupError} `concurrent_ddl`, naming up to ten of the objects that changed
 */
export async function recheck(session: Session, noted: readonly RowVersion[]): Promise<void> {
  const wanted = new Map<string, Set<number>>();
  for (const { catalog, oid } of noted) oidsOf(wanted, catalog).add(oid);
  const now = new Map<string, number>();
  for (const row of await readVersions(session, wanted)) {
    now.set(`${row.catalog}:${row.oid}`, row.xmin);
  }
  const changed = noted.filter((row) => now.get(`${row.catalog}:${row.oid}`) !== row.xmin);
  if (changed.length === 0) return;
  const names = changed.slice(0, 10).map((row) => `${row.name} (${row.catalog})`);
  throw new BackupError(
    "concurrent_ddl",
    `Cannot save the definitions: ${changed.length} changed while they were read: ${
      names.join(", ")
    }`,
    { hint: "Begin the backup again when no migration is running.", details: { changed: names } },
  );
}

function oidsOf(wanted: Map<string, Set<number>>, catalog: string): Set<number> {
  let oids = wanted.get(catalog);
  if (oids === undefined) wanted.set(catalog, oids = new Set());
  return oids;
}

function oidArray(oids: ReadonlySet<number>): string {
  return `{${[...oids].join(",")}}`;
}
