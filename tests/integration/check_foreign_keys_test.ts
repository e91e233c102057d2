import assert from "node:assert/strict";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { checkForeignKeys } from "../../supabase/functions/backup/restore/check_foreign_keys.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

Deno.test("checkForeignKeys() wants a period covered whole, by several rows if need be", async () => {
  await using database = await temporaryDatabase("period_keys", { major: 18 });
  const session = await connect({ url: database.url });
  try {
    await session.execute(`
      create extension btree_gist;
      create table rates (id int, at int4range, primary key (id, at without overlaps));
      create table stays (rate int, at int4range,
        constraint paid foreign key (rate, period at) references rates (id, period at));
      insert into rates values (1, '[1,5)'), (1, '[5,9)'), (2, '[1,9)');
      insert into stays values (1, '[3,7)'), (2, null), (null, '[50,60)')`);
    const check = () => checkForeignKeys(session, ['"public"."stays"']);
    await check();
    for (const period of ["[8,10)", "[20,30)"]) {
      await session.execute(`
        begin; set local session_replication_role = replica;
        insert into stays values (1, '${period}')`);
      await assert.rejects(check(), { code: "restore_mismatch", message: /paid/ });
      await session.execute("rollback");
    }
  } finally {
    await session.close();
  }
});
