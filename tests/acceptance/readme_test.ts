import assert from "node:assert/strict";
import { fileURLToPath, join } from "../../scripts/paths.ts";
import { DENO_RUN } from "../../scripts/testing/deno_run.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { toBase64 } from "../../supabase/functions/backup/core/bytes.ts";
import { freePort } from "../../scripts/embedded_postgres.ts";
import { temporaryFolder } from "../support/deployment.ts";
import { type Block, blocksOf, readPage } from "../support/markdown.ts";
import { type Ran, runBlocks } from "../support/run_page.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

const README = await readPage("README.md");
const SERVE = fileURLToPath(new URL("../../scripts/serve.ts", import.meta.url));

/** Blocks below a heading that are marked. */
function runnable(heading: string): Block[] {
  const blocks = blocksOf(README, heading).filter(({ marks }) => marks.includes("run"));
  assert.ok(blocks.length > 0, heading);
  return blocks;
}

/** `task serve`, ended by a signal as a person ends it. */
async function serve(env: Record<string, string>) {
  const child = new Deno.Command(Deno.execPath(), {
    args: [...DENO_RUN, SERVE],
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  while (!said.includes("Ctrl-C stops it.")) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`Cannot serve: ${said}`);
    said += value;
  }
  return {
    said,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      while (!(await reader.read()).done) { /* to the end of what it says */ }
      assert.equal((await child.status).code, 0);
    },
  };
}

Deno.test("the README's command lines and the requests that task serve prints do what they say", async () => {
  await using source = await temporaryDatabase("readme");
  await using target = await temporaryDatabase("readme_new");
  await using folder = await temporaryFolder();
  const session = await connect({ url: source.url });
  const elsewhere = await connect({ url: target.url });
  const key = toBase64(crypto.getRandomValues(new Uint8Array(32)));
  const backups = join(folder.path, "backups");
  const environment = {
    BACKUP_ENCRYPTION_KEY: key,
    REPOSITORY: `file://${backups}`,
    DATABASE_URL: source.url,
    NEW_DATABASE_URL: target.url,
  };
  try {
    await session.execute(`
      create schema shop;
      create table shop.orders (id integer primary key, total integer);
      create table shop.items (id integer primary key);
      insert into shop.orders select i, i from generate_series(1, 10) i;`);
    {
      await using served = await serve({
        SUPABASE_DB_URL: source.url,
        SUPABASE_SECRET_KEYS: JSON.stringify({ default: "sb_secret_readme_0123456789" }),
        BACKUP_ENCRYPTION_KEY: key,
        BACKUP_STORAGE_TYPE: "local",
        BACKUP_STORAGE_PATH: backups,
        PORT: String(freePort()),
      });
      const lines = served.said.split("\n").filter((line) => /^ {2}(curl|export) /.test(line)).join(
        "\n",
      );
      const block = { language: "sh", marks: [], lines };
      const [{ answers }] = await runBlocks([block], { environment, session }) as [Ran];
      assert.equal(answers.length, 5);
      assert.equal(answers[2].status, "completed");
      const { steps } = answers[0] as { steps: { step: string; done: boolean }[] };
      assert.ok(
        steps.some(({ step, done }) => step === "schedule" && done),
        "the process is its clock",
      );
      assert.doesNotMatch(served.said, /"about":"ticker"/);
    }
    const reader = { environment, session: elsewhere, folder: folder.path };
    await runBlocks(runnable("When the project is gone"), reader);
    const count = "select count(*) from shop.orders";
    assert.deepEqual(await elsewhere.query(count), [{ count: "10" }]);
    assert.match(
      await Deno.readTextFile(join(folder.path, "database.sql")),
      /COPY "shop"\."orders"/,
    );

    await session.execute("delete from shop.orders where id > 3");
    await runBlocks(runnable("Export and import"), { ...reader, session });
    assert.deepEqual(await session.query(count), [{ count: "10" }]);
  } finally {
    await session.close();
    await elsewhere.close();
  }
});
