import assert from "node:assert/strict";
import { BackupError } from "../../core/errors.ts";
import type { DatabaseRecord, Repository } from "../../repository/mod.ts";
import { backupToAssess } from "./backup_to_assess.ts";

const idOf = (number: number) => `backup_202601${String(number).padStart(2, "0")}T000000Z_000000`;

/** Backups of these days, oldest first; of those in `half` the database was half restored. */
function repositoryOf(days: number[], half: number[] = []) {
  const record = (day: number) => ({
    ...{ backupId: idOf(day), type: "database" },
    consistency: half.includes(day) ? { unfinishedRestore: { jobId: "restore_1" } } : {},
  } as unknown as DatabaseRecord);
  const newestFirst = days.toReversed().map(record);
  const repository = {
    backupIds: () => Promise.resolve(newestFirst.map(({ backupId }) => backupId)),
    listBackups: ({ ids = [] }: { ids?: readonly string[] }) => {
      const backups = newestFirst.filter(({ backupId }) => ids.includes(backupId));
      return Promise.resolve({ backups, damaged: [] });
    },
    readBackup: (wanted: string) => {
      const found = newestFirst.find(({ backupId }) => wanted === "latest" || backupId === wanted);
      return found === undefined
        ? Promise.reject(new BackupError("backup_not_found", `Cannot open ${wanted}`))
        : Promise.resolve({ record: found });
    },
  };
  return repository as unknown as Repository;
}

async function chosen(
  repository: Repository,
  wanted: string,
  backupId: string | null = null,
): Promise<string> {
  const trace = backupId === null ? null : { backupId };
  const { signal } = new AbortController();
  return (await backupToAssess(repository, { wanted, trace, signal })).backupId;
}

Deno.test("backupToAssess() takes the newest, or the one that is asked for", async () => {
  const repository = repositoryOf([1, 2, 3]);
  assert.equal(await chosen(repository, "latest"), idOf(3));
  assert.equal(await chosen(repository, idOf(1), idOf(2)), idOf(1));
  await assert.rejects(chosen(repository, idOf(9)), { code: "backup_not_found" });
});

Deno.test("backupToAssess() takes the backup that is being restored, however new others are", async () => {
  assert.equal(await chosen(repositoryOf([1, 2, 3], [3]), "latest", idOf(1)), idOf(1));
});

Deno.test("backupToAssess() takes no backup of a half restored database while there is another", async () => {
  const days = Array.from({ length: 25 }, (_, day) => day + 1);
  const half = days.slice(3);
  assert.equal(await chosen(repositoryOf(days, half), "latest"), idOf(3));
  assert.equal(
    await chosen(repositoryOf(days, half), "latest", idOf(31)),
    idOf(3),
    "its own is gone",
  );
  assert.equal(
    await chosen(repositoryOf([1, 2], [1, 2]), "latest"),
    idOf(2),
    "half is better than none",
  );
});
