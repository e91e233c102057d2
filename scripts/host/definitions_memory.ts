/**
 * What the definitions of very many objects take of the memory that a program may take. Rows take none, however
 * many there are: they pass.
 *
 * @module
 */
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { pinSettings } from "../../supabase/functions/backup/postgres/pinned_settings.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import type { CommandValues } from "../cli/command.ts";
import { PROGRAM_MB } from "./threads_within.ts";

/** What holds them: a backup, the reading of one, or that of the database that is restored. */
export type Definitions = Partial<Record<"saved" | "restored" | "target", number>>;

/**
 * Megabytes that a thousand objects add, somewhat more than was measured (`docs/performance.md`, Memory): a backup
 * holds what the order of all needs, a restore what the backup and the target say of each.
 */
const MB_A_THOUSAND: Record<keyof Definitions, number> = {
  saved: 0.35,
  restored: 0.95,
  target: 1.6,
};

/** A backup also holds what it reads at once, or one slice of it: so much of a thousand, and at most so much in all. */
const READING = { mbAThousand: 2.5, mostMb: 100 };

/** Of that so much is in what the program takes anyway. */
const IN_PROGRAM_MB = 20;

/** By schema, null for what is in none: of what databases have very many of, counted roughly. */
const OBJECTS = `
  SELECT n.nspname AS schema, sum(o.objects)::int AS objects
    FROM (
      SELECT relnamespace AS schema, 1 + (relkind IN ('r', 'S'))::int AS objects FROM pg_class
       WHERE oid >= 16384 AND relkind <> 't'
      UNION ALL SELECT connamespace, 1 FROM pg_constraint
       WHERE oid >= 16384 AND contype IN ('f', 'c')
      UNION ALL SELECT c.relnamespace, 1 FROM pg_attrdef d JOIN pg_class c ON c.oid = d.adrelid
      UNION ALL SELECT pronamespace, 1 FROM pg_proc WHERE oid >= 16384
      UNION ALL SELECT typnamespace, 1 FROM pg_type WHERE oid >= 16384 AND typtype IN ('d', 'e', 'r')
      UNION ALL SELECT c.relnamespace, 1 FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
       WHERE t.oid >= 16384 AND NOT t.tgisinternal
      UNION ALL SELECT c.relnamespace, 1 FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
      -- Each has an entry for itself and one for its pages, which are longer than most.
      UNION ALL SELECT NULL, 4 FROM pg_largeobject_metadata
    ) o LEFT JOIN pg_namespace n ON n.oid = o.schema
   WHERE n.nspname IS DISTINCT FROM 'pg_toast'
   GROUP BY n.nspname`;

/**
 * Objects of a database, about.
 *
 * @param isTaken whether those of a schema count
 */
export async function countObjects(
  session: Session,
  isTaken: (schema: string | null) => boolean = () => true,
): Promise<number> {
  await pinSettings(session); // or it might meet somebody's view
  const rows = await session.query(OBJECTS);
  return rows.reduce((sum, row) => isTaken(row.schema) ? sum + row.objects : sum, 0);
}

/**
 * Megabytes that they take.
 *
 * @throws {BackupError} `over_budget` when they do not fit into what the user has said
 */
export function definitionsWithin(
  values: Pick<CommandValues, "count">,
  { saved = 0, restored = 0, target = 0 }: Definitions,
): number {
  const megabytes = values.count("memory") ?? Infinity;
  const all = Math.ceil(
    (saved * MB_A_THOUSAND.saved + restored * MB_A_THOUSAND.restored +
          target * MB_A_THOUSAND.target) / 1000 +
      Math.min(READING.mostMb, saved * READING.mbAThousand / 1000),
  );
  const taken = Math.max(0, all - IN_PROGRAM_MB);
  const needed = PROGRAM_MB + taken;
  if (needed <= megabytes || taken === 0) return taken;
  const isRestore = restored > 0;
  throw new BackupError(
    "over_budget",
    `Cannot ${isRestore ? "restore" : "back up"} within ${megabytes} MB: the definitions of ` +
      `${isRestore ? restored + target : saved} objects need about ${needed} MB`,
    {
      hint: `Nothing was changed. Say --memory ${needed}` +
        (isRestore ? "." : ", or save some schemas at a time with --include or --exclude."),
      details: { saved, restored, target, megabytes, needed },
    },
  );
}
