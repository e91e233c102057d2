import assert from "node:assert/strict";
import { loadSampleApplication, startProject } from "../../scripts/demo/start_project.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";

Deno.test("a project starts again in its folder and keeps the sample that is there", async () => {
  const dataDirectory = await Deno.makeTempDir({ prefix: "supabase-backup-sample-" });
  const tables = async (sql: string, load: boolean) => {
    await using project = await startProject({ dataDirectory });
    if (load) await loadSampleApplication(project);
    const session = await connect({ url: project.adminUrl });
    if (sql !== "") await session.execute(sql);
    const rows = await session.query(
      "select relname as name from pg_class where relnamespace = 'shop'::regnamespace",
    );
    await session.close();
    return rows.map((row) => row.name);
  };
  try {
    await tables("create schema shop; create table shop.kept (id integer)", false);
    assert.deepEqual(await tables("", true), ["kept"]);
  } finally {
    await Deno.remove(dataDirectory, { recursive: true });
  }
});
