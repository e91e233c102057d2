/**
 * Guards the restore of what is lost: rows that came back meanwhile may be newer than the backup.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import type { Session } from "../../postgres/session.ts";
import type { RestorePlan } from "../../restore/mod.ts";

/** Tables that one query looks at. */
const TABLES_AT_ONCE = 100;

/**
 * To be called under the locks of the plan, so that nobody writes to its tables any more.
 *
 * @throws {BackupError} `restore_refused` naming a table that holds rows
 */
export async function refuseRows(session: Session, plan: RestorePlan): Promise<void> {
  const tables = plan.load.flatMap(({ entry: { table }, clear }) =>
    clear === "none" || table === undefined ? [] : [table]
  );
  for (let from = 0; from < tables.length; from += TABLES_AT_ONCE) {
    const some = tables.slice(from, from + TABLES_AT_ONCE);
    const queries = some.map(({ sqlName, condition }, at) =>
      `SELECT ${at} AS at WHERE EXISTS (SELECT FROM ONLY ${sqlName} ${condition ?? ""})`
    );
    const [found] = await session.query(`${queries.join(" UNION ALL ")} LIMIT 1`);
    if (found === undefined) continue;
    const { sqlName } = some[Number(found.at)]!;
    throw new BackupError(
      "restore_refused",
      `Cannot restore what is lost of ${sqlName} from ${plan.backupId}: the table holds rows`,
      {
        hint:
          "Nothing was changed. Lay the table of the backup beside it (intoSchema) and copy what is " +
          "missing, or replace its rows by those of the backup: the same request without onlyLost.",
      },
    );
  }
}
