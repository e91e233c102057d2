import assert from "node:assert/strict";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { refuseViewsOfUsers } from "../../supabase/functions/backup/postgres/pinned_settings.ts";
import { testServer } from "../support/servers.ts";

for (const major of [15, 17] as const) {
  Deno.test(`a view in a sequence's place runs nothing while a backup reads, PostgreSQL ${major}`, async () => {
    const server = await testServer(major);
    const admin = await connect({ url: server.url() });
    const name = `hostile_views_${major}`;
    try {
      await admin.execute(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      await admin.execute(`CREATE DATABASE ${name}`);
      const owner = await connect({ url: server.url(name) });
      await owner.execute(`
        CREATE TABLE public.marks (who text);
        CREATE FUNCTION public.mark() RETURNS bigint LANGUAGE plpgsql AS
          $$ BEGIN INSERT INTO public.marks VALUES (current_user); RETURN 1; END $$;
        CREATE VIEW public.counter AS SELECT public.mark() AS last_value, true AS is_called;
        CREATE SEQUENCE public.honest`);
      const reader = await connect({ url: server.url(name) });
      const read = (what: string) =>
        reader.query(`SELECT last_value, is_called FROM public.${what}`);
      await refuseViewsOfUsers(reader);
      await assert.rejects(read("counter"), /non-system view/);
      assert.equal((await read("honest")).length, 1);
      assert.ok((await reader.query("SELECT * FROM pg_catalog.pg_roles")).length > 0);
      assert.deepEqual(await owner.query("SELECT who FROM public.marks"), []);
      await reader.close();
      await owner.close();
    } finally {
      await admin.execute(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      await admin.close();
    }
  });
}
