/**
 * Repositories written by the first release of format 1, frozen: every later release reads them. They
 * are never written again; a change of the format makes a new folder beside them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { openRepository } from "../../supabase/functions/backup/repository/mod.ts";
import { localStorage } from "../../supabase/functions/backup/storage/local.ts";
import { noise, readSampleBackup, SAMPLE_KEY } from "../support/repository_samples.ts";

const text = (line: string, times: number) => new TextEncoder().encode(line.repeat(times));
const FIRST = text("1\tfirst row\n2\tsecond row\n", 40);
const BACKUPS: Record<string, Uint8Array[]> = {
  backup_20260101T000000000Z_0000000001: [FIRST, noise(500, 1)],
  backup_20260102T000000000Z_0000000002: [FIRST, text("3\tthird row\n", 30)],
};
const CASES: [string, string, Secret | null][] = [
  ["repository_format_1", "by key", SAMPLE_KEY],
  ["repository_format_1", "by passphrase", new Secret("correct horse battery staple")],
  ["repository_format_1_plain", "unencrypted", null],
];

for (const [folder, how, key] of CASES) {
  Deno.test(`a frozen repository of format 1 is read ${how}`, async () => {
    const directory = new URL(`../fixtures/${folder}`, import.meta.url).pathname;
    const repository = await openRepository({ storage: localStorage(directory), key });
    const { backups, damaged } = await repository.listBackups();
    assert.deepEqual(damaged, []);
    assert.deepEqual(backups.map((r) => r.backupId), Object.keys(BACKUPS).toReversed());
    for (const [backupId, parts] of Object.entries(BACKUPS)) {
      assert.deepEqual(await readSampleBackup(repository, backupId), parts);
    }
    assert.deepEqual((await repository.verify({ level: "full" })).problems, []);
    const owner = { projectRef: null, systemIdentifier: "7000000000000000001" };
    assert.deepEqual(await repository.owner(), { ...owner, database: "postgres" });
  });
}
