/**
 * Backups that are killed leave nothing that is listed and incomplete, and the next one succeeds.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { openRepository } from "../../supabase/functions/backup/repository/mod.ts";
import { localStorage } from "../../supabase/functions/backup/storage/local.ts";
import { testServer } from "../support/servers.ts";

const KEY = "q0xTg1t3rJ5Y8nVb2mKc7wZs4dPh6uLeXaRiOyFjGvE=";

/** Runs the program; kills it when it says its n-th line. Whether it ended by itself. */
async function runBackup(
  { url, directory, killAtLine }: { url: string; directory: string; killAtLine: number },
): Promise<boolean> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...[
        "run",
        "-A",
        "--no-lock",
        fileURLToPath(new URL("../../scripts/backup.ts", import.meta.url)),
      ],
      ...["--repository", `file://${directory}`, "--database-url", url],
    ],
    env: { BACKUP_ENCRYPTION_KEY: KEY },
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let lines = 0;
  let said = "";
  for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
    said += text;
    lines += text.split("\n").length - 1;
    if (lines >= killAtLine) {
      try {
        child.kill("SIGKILL");
      } catch (error) {
        // It may have ended by itself in this moment.
        if (!(error instanceof TypeError)) throw error;
      }
    }
  }
  const { success, signal } = await child.status;
  assert.ok(success || signal === "SIGKILL", said);
  return success;
}

Deno.test("a backup that is killed at any of its steps leaves nothing that is listed and incomplete", async () => {
  const server = await testServer(17);
  const name = `fd_kill_${crypto.randomUUID().slice(0, 8)}`;
  const admin = await connect({ url: server.url() });
  const directory = await Deno.makeTempDir();
  await admin.execute(`CREATE DATABASE "${name}"`);
  try {
    const session = await connect({ url: server.url(name) });
    await session.execute(
      "CREATE TABLE t AS SELECT i, md5(i::text) AS a, repeat(md5(i::text), 8) AS b " +
        "FROM generate_series(1, 120000) i",
    );
    await session.close();
    let complete = 0;
    // Every run begins a little later on the way to the end; the last ones are not killed any more.
    for (const line of [1, 2, 4, 7, 10, 13]) {
      const url = server.url(name);
      if (await runBackup({ url, directory, killAtLine: line })) complete++;
      if (await isRepository(directory)) await expectWhole(directory, complete);
    }
    assert.ok(await runBackup({ url: server.url(name), directory, killAtLine: 1000 }));
    await expectWhole(directory, complete + 1);
  } finally {
    await admin.execute(`DROP DATABASE "${name}" WITH (FORCE)`);
    await admin.close();
    await Deno.remove(directory, { recursive: true });
  }
});

async function isRepository(directory: string): Promise<boolean> {
  return await localStorage(directory).head("repository.json") !== null;
}

async function expectWhole(directory: string, atLeast: number): Promise<void> {
  const repository = await openRepository({
    storage: localStorage(directory),
    key: new Secret(KEY),
  });
  const { backups, damaged } = await repository.listBackups();
  assert.deepEqual(damaged, []);
  // A kill after the record was stored leaves a backup that the killed program did not report.
  assert.ok(backups.length >= atLeast);
  assert.ok(backups.every((backup) => backup.totals.rows === 120_000));
  assert.deepEqual((await repository.verify({ level: "quick" })).problems, []);
}
