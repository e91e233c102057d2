/**
 * The connection of the service's own tables where the URL speaks of `sslmode`, and a server that goes away.
 *
 * @module
 */
import assert from "node:assert/strict";
import { startPostgres } from "../../scripts/embedded_postgres.ts";
import { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { StateDatabase } from "../../supabase/functions/backup/state/database.ts";

/** What becomes of it within ten seconds, in a word. */
async function outcome(work: Promise<unknown>): Promise<string> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve("still waiting"), 10_000);
  });
  const done = work.then(() => "done", (error: BackupError) => error.code);
  return await Promise.race([done, late]).finally(() => clearTimeout(timer));
}

Deno.test("a query ends when its server does, and the next one finds the server again", async () => {
  await using server = await startPostgres({ major: 17 });
  const database = new StateDatabase(new Secret(`${server.url()}?sslmode=disable`));
  const one = () => outcome(database.run("ask", (sql) => sql`select 1`));
  try {
    assert.equal(await one(), "done");
    const lasting = outcome(database.run("ask for long", (sql) => sql`select pg_sleep(60)`));
    assert.equal(await one(), "done"); // on the second connection, when the first one is at work
    await server.stop("immediate");
    assert.equal(await lasting, "database_unreachable");
    assert.equal(await one(), "database_unreachable");
    await server.start();
    assert.equal(await one(), "done");
  } finally {
    await database.close();
  }
});

Deno.test("queries that wait for a connection end too when none can be opened", async () => {
  const url = "postgres://postgres@127.0.0.1:9/postgres";
  for (const address of [url, `${url}?sslmode=disable`]) {
    const database = new StateDatabase(new Secret(address));
    const asked = Array.from({ length: 5 }, () => database.run("ask", (sql) => sql`select 1`));
    const outcomes = await Promise.all(asked.map(outcome));
    assert.deepEqual(new Set(outcomes), new Set(["database_unreachable"]));
    await database.close();
  }
});
