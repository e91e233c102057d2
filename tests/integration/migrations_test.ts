import assert from "node:assert/strict";
import { MIGRATIONS } from "../../supabase/functions/backup/state/migrations.ts";

const FOLDER = new URL("../../supabase/migrations/", import.meta.url);

Deno.test("supabase/migrations holds exactly the text that init applies", async () => {
  const files: string[] = [];
  for await (const { name } of Deno.readDir(FOLDER)) files.push(name);
  assert.deepEqual(files.sort(), MIGRATIONS.map(({ version, name }) => `${version}_${name}.sql`));
  for (const { version, name, sql } of MIGRATIONS) {
    const file = await Deno.readTextFile(new URL(`${version}_${name}.sql`, FOLDER));
    assert.equal(file, sql, `run: deno task migrations`);
  }
});
