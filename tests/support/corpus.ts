/**
 * The corpus: small databases, each a folder with `schema.sql`, `data.sql` and `meta.json`.
 *
 * @module
 */
import { fileURLToPath } from "../../scripts/paths.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";

/** One case of the corpus. */
export interface CorpusCase {
  /** `<family>--<case>`. */
  name: string;
  schema: string;
  /** Statements that add rows; empty when there is none. */
  data: string;
  meta: CorpusMeta;
}

/** What a case needs. */
export interface CorpusMeta {
  /** Oldest major version that knows these statements. */
  minVersion?: number;
  /** Newest major version that knows these statements. */
  maxVersion?: number;
  /** Encoding of the database. @default UTF8 */
  encoding?: string;
}

/** Roles that the cases name. They are made once on a server. */
const ROLES = ["corpus_owner", "corpus_reader", 'corpus odd "role"'];

/** Reads every case whose name holds `filter`. */
export function readCorpus(filter = ""): CorpusCase[] {
  const folder = fileURLToPath(new URL("../corpus/", import.meta.url));
  const names = [...Deno.readDirSync(folder)].filter((item) => item.isDirectory)
    .map((item) => item.name).filter((name) => name.includes(filter)).sort();
  return names.map((name) => ({
    name,
    schema: readIfThere(`${folder}${name}/schema.sql`),
    data: readIfThere(`${folder}${name}/data.sql`),
    meta: JSON.parse(readIfThere(`${folder}${name}/meta.json`) || "{}"),
  }));
}

/** Whether a server of this major version can hold the case. */
export function fits(meta: CorpusMeta, major: number): boolean {
  return major >= (meta.minVersion ?? 0) && major <= (meta.maxVersion ?? Infinity);
}

/** Makes the roles that are not there. */
export async function makeCorpusRoles(session: Session): Promise<void> {
  const rows = await session.query<{ rolname: string }>("SELECT rolname FROM pg_roles");
  const there = new Set(rows.map((row) => row.rolname));
  for (const role of ROLES) {
    if (!there.has(role)) await session.execute(`CREATE ROLE "${role.replaceAll('"', '""')}"`);
  }
}

/** Drops a database of the corpus, with the subscriptions that would stand against it. */
export async function dropCorpusDatabase(
  session: Session,
  database: string,
  openDatabase: () => Promise<Session>,
): Promise<void> {
  const subscriptions = await session.query<{ name: string }>(
    "SELECT quote_ident(subname) AS name FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid " +
      "WHERE d.datname = $1",
    [database],
  );
  if (subscriptions.length > 0) {
    const inside = await openDatabase();
    for (const { name } of subscriptions) {
      await inside.execute(`ALTER SUBSCRIPTION ${name} DISABLE`);
      await inside.execute(`ALTER SUBSCRIPTION ${name} SET (slot_name = NONE)`);
      await inside.execute(`DROP SUBSCRIPTION ${name}`);
    }
    await inside.close();
  }
  await session.execute(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`);
}

function readIfThere(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
