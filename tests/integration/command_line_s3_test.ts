/**
 * The command line programs on a bucket, and the bucket looked at by another client.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "../../scripts/paths.ts";
import { DENO_RUN } from "../../scripts/testing/deno_run.ts";
import { testServer } from "../support/servers.ts";
import { scratchDatabase } from "../support/memory_backup.ts";
import { startS3Server } from "../support/s3_server.ts";

const KEY = "q0xTg1t3rJ5Y8nVb2mKc7wZs4dPh6uLeXaRiOyFjGvE=";

Deno.test("a backup goes into a bucket and comes out of it by the command line alone", async () => {
  const server = await testServer(17);
  const run = crypto.randomUUID().slice(0, 8);
  const s3 = await startS3Server();
  const repository = `s3://backups/some/prefix?endpoint=${s3.endpoint}&region=us-east-1`;
  const command = async (name: string, ...args: string[]) => {
    const script = fileURLToPath(new URL(`../../scripts/${name}.ts`, import.meta.url));
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [...DENO_RUN, script, "--json", ...args]
        .concat("--repository", repository),
      env: { ...s3.credentials, BACKUP_ENCRYPTION_KEY: KEY },
    }).output();
    const said = new TextDecoder().decode(stderr);
    assert.equal(code, 0, said);
    return JSON.parse(new TextDecoder().decode(stdout));
  };
  try {
    await using source = await scratchDatabase(server, `s3_source_${run}`);
    await using target = await scratchDatabase(server, `s3_target_${run}`);
    await source.run(
      "CREATE TABLE secrets (id int PRIMARY KEY, word text);" +
        "INSERT INTO secrets SELECT i, 'open sesame ' || md5(i::text) FROM generate_series(1, 5000) i",
    );
    const backup = await command("backup", "--database-url", source.url);
    const { backups } = await command("backups");
    assert.deepEqual(
      backups.map((each: { backupId: string }) => each.backupId),
      [backup.backupId],
    );
    await command("verify");

    // Any client sees objects by the names of the written format, and nothing of their content.
    const listing = await (await fetch(`${s3.endpoint}/backups?list-type=2`)).text();
    const names = [...listing.matchAll(/<Key>([^<]+)<\/Key>/g)].map((match) => match[1]!);
    assert.ok(names.length > 3, listing);
    assert.ok(names.every((name) => name.startsWith("some/prefix/")), names.join());
    assert.ok(names.includes(`some/prefix/backups/${backup.backupId}`), names.join());
    for (const name of names) {
      const object = await (await fetch(`${s3.endpoint}/backups/${name}`)).text();
      assert.ok(!/open sesame|secrets|CREATE TABLE/.test(object), name);
    }

    await command("restore", "--database-url", target.url);
    const count =
      "SELECT count(*)::text AS rows, md5(string_agg(word, ',' ORDER BY id)) FROM secrets";
    assert.deepEqual(await target.run(count), await source.run(count));
  } finally {
    await s3.close();
  }
});
