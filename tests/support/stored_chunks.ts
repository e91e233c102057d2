/**
 * The chunks that backups refer to and the storage has, for tests that take some of them away.
 *
 * @module
 */
import type { DataPart } from "../../supabase/functions/backup/core/model.ts";
import type { Repository } from "../../supabase/functions/backup/repository/mod.ts";

/** Names in the order in which backups name them, each once. @param backupIds all when left out */
export async function storedChunks(
  repository: Repository,
  backupIds?: readonly string[],
): Promise<string[]> {
  const names = new Set<string>();
  for (const id of backupIds ?? await repository.backupIds()) {
    const { manifest } = await repository.readBackup(id);
    const { entries, tableData, dataParts } = manifest;
    for (const { chunks } of [entries, tableData, dataParts]) {
      for (const { name } of chunks) names.add(name);
    }
    for await (const { pieces } of repository.readLines<DataPart>(dataParts)) {
      for (const { chunk } of pieces) names.add(chunk);
    }
  }
  const missing = await repository.missingChunks(names);
  return [...names].filter((name) => !missing.has(name));
}
