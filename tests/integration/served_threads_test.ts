/**
 * A served process copies the rows of a backup in threads, as the command does.
 *
 * @module
 */
import assert from "node:assert/strict";
import { copierThreads } from "../../scripts/host/thread_copier.ts";
import { readEnvironment } from "../../supabase/functions/backup/config.ts";
import { createDeps } from "../../supabase/functions/backup/create_deps.ts";
import { createApp } from "../../supabase/functions/backup/http/create_app.ts";
import { KEYS, post, startServiceUnderTest } from "../support/service.ts";

/** More than makes threads worth their start. */
const LARGE = `
  create table public.large as
    select i as id, (select string_agg(md5((i * 200 + j)::text), '') from generate_series(1, 100) j) as body
      from generate_series(1, 15000) i`;

Deno.test("a served process copies rows in threads, and the backup holds them", async () => {
  const it = await startServiceUnderTest();
  let copied = 0;
  const variables = it.variables as Record<string, string | undefined>;
  const deps = createDeps({
    environment: readEnvironment((name) => variables[name]),
    openCopier(access) {
      const { copier, leave } = copierThreads(2)(access);
      const copy: typeof copier.copy = async (payload, options) => {
        const done = await copier.copy(payload, options);
        if (done !== null) copied++;
        return done;
      };
      return { copier: { ...copier, copy }, leave };
    },
  });
  try {
    assert.equal((await post(it.service, "init")).status, 200);
    await using admin = await it.admin();
    await admin.execute(LARGE);
    const answer = await createApp(deps).fetch(
      new Request("http://127.0.0.1/functions/v1/backup?action=backup-database&wait=60", {
        ...{ method: "POST", headers: { apikey: KEYS.secret } },
      }),
    );
    const said = await answer.json();
    const { data = {} } = said;
    assert.equal(data.status, "completed", JSON.stringify(said));
    assert.equal(data.result.totals.rows >= 15000, true);
    assert.ok(copied > 1, `threads copied ${copied} parts`);
    await deps.idle();
    const { body } = await post(it.service, "verify&wait=60", { level: "full" });
    assert.equal(body.data.status, "completed", JSON.stringify(body));
    assert.deepEqual(body.data.result.problems, []);
  } finally {
    await deps.idle();
    await deps.state.close();
    await it.stop();
  }
});
