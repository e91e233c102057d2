/**
 * The backups in storage as an answer can afford to look at them: all by name, the newest by their records. A
 * record costs a request and a millisecond of CPU, and a hosted worker has two seconds; complete verifications,
 * which are jobs, read all of them.
 *
 * @module
 */
import { typeOfJobId } from "../../core/ids.ts";
import type { BackupList, Repository } from "../../repository/mod.ts";

/** Backups that are looked at whatever they are of. */
const NEWEST = 150;
/** Of each type, which may be rare, so many that restores did not make. */
const NEWEST_OF_TYPE = 5;

/** See the module. */
export interface NewestBackups {
  /** Of all backups, newest first; also of those that cannot be read. */
  ids: string[];
  /** Of the newest. */
  list: BackupList;
}

/** @throws `storage_*`, `key_*` */
export async function readNewest(
  repository: Pick<Repository, "backupIds" | "listBackups">,
): Promise<NewestBackups> {
  const ids = await repository.backupIds();
  const usual = ids.filter((id) => !id.startsWith("safety_"));
  const rare = [...Map.groupBy(usual, typeOfJobId).values()]
    .flatMap((ofType) => ofType.slice(0, NEWEST_OF_TYPE));
  const looked = new Set([...ids.slice(0, NEWEST), ...rare]);
  return { ids, list: await repository.listBackups({ ids: ids.filter((id) => looked.has(id)) }) };
}
