/**
 * What the definitions of very many objects take of the memory that a program may take. Rows take none, however
 * many there are: they pass.
 *
 * @module
 */
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import type { CommandValues } from "../cli/command.ts";
import { PROGRAM_MB } from "./threads_within.ts";

/** What is done with them. */
export type DefinitionsUse = "backup" | "restore";

/**
 * Megabytes that a thousand objects were seen to add; `docs/performance.md` has the measurements. A backup holds
 * what the order of all needs, a restore what the backup and the target say of each.
 */
const MB_A_THOUSAND: Record<DefinitionsUse, number> = { backup: 0.5, restore: 1.1 };

/** So little nobody is refused for: the program itself takes more. */
const FEW_MB = 20;

/** What the catalogs have entries of, counted roughly. */
const OBJECTS = `
  SELECT ((SELECT count(*) FROM pg_class WHERE oid >= 16384 AND relkind <> 't') +
          (SELECT count(*) FROM pg_class WHERE oid >= 16384 AND relkind IN ('r', 'S')) +
          (SELECT count(*) FROM pg_constraint WHERE oid >= 16384 AND contype IN ('f', 'c')) +
          (SELECT count(*) FROM pg_attrdef) +
          (SELECT count(*) FROM pg_proc WHERE oid >= 16384) +
          (SELECT count(*) FROM pg_trigger WHERE oid >= 16384 AND NOT tgisinternal) +
          (SELECT count(*) FROM pg_policy))::int AS objects`;

/** Objects of a whole database, about. */
export async function countObjects(session: Session): Promise<number> {
  const [row] = await session.query(OBJECTS);
  return row!.objects;
}

/** How many objects are read, and saved. */
export type Definitions = Partial<Record<DefinitionsUse, number>>;

/**
 * Megabytes that they take: a restore over a live database saves that first.
 *
 * @throws {BackupError} `over_budget` when they do not fit into what the user has said
 */
export function definitionsWithin(
  values: Pick<CommandValues, "count">,
  { backup = 0, restore = 0 }: Definitions,
): number {
  const megabytes = values.count("memory") ?? Infinity;
  const taken = Math.ceil(
    (backup * MB_A_THOUSAND.backup + restore * MB_A_THOUSAND.restore) / 1000,
  );
  const needed = PROGRAM_MB + taken;
  if (needed <= megabytes || taken <= FEW_MB) return taken;
  const doing = restore > 0 ? "restore" : "back up";
  throw new BackupError(
    "over_budget",
    `Cannot ${doing} the definitions of ${restore || backup} objects within ${megabytes} MB: ` +
      `they need about ${needed} MB`,
    {
      hint: `Nothing was changed. Say --memory ${needed}` +
        (restore > 0 ? "." : ", or save some schemas at a time with --include."),
      details: { backup, restore, megabytes, needed },
    },
  );
}
