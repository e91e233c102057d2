/**
 * What happens while definitions are read, in a database where no rows are read after them.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  type HeldSnapshot,
  type OpenHeldOptions,
  sessionHolder,
} from "../../supabase/functions/backup/dump/mod.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import { onlyParts, partBackup } from "../support/part_backup.ts";
import { runSql, temporaryDatabase } from "../support/temporary_database.ts";

const SAMPLE = `
  do $$ begin for i in 1..3 loop execute format('create view v%s as select 0 as a', i); end loop; end $$;
  create function f() returns int language sql as 'select 1'`;

const CASES = [
  { how: "at once", relationsAPart: null, faults: ["moment is lost"] },
  { how: "in slices", relationsAPart: 2, faults: ["moment is lost", "view is replaced"] },
];

for (const { how, relationsAPart, faults } of CASES) {
  Deno.test(`definitions that are read ${how} are of one moment, or the backup begins again`, async () => {
    await using database = await temporaryDatabase("t_definitions");
    await runSql(database.url, SAMPLE);
    await using backup = await partBackup(database.url, { relationsAPart });
    const open = () => connect({ url: database.url });
    const real = sessionHolder({ connect: open });
    const observer = await open();
    try {
      for (const fault of faults) {
        let opened = 0;
        let isLost = false;
        const holder = {
          ...real,
          async open(options: OpenHeldOptions) {
            opened++;
            return await real.open(options);
          },
          async check(session: Session, held: HeldSnapshot) {
            if (fault === "moment is lost" && !isLost) {
              isLost = true;
              await observer.query("select pg_terminate_backend($1, 10000)", [held.backend.pid]);
            }
            return await real.check(session, held);
          },
        };
        const jobId = await backup.begin();
        await backup.work(jobId, { holder, budget: onlyParts(1) });
        if (fault === "view is replaced") {
          await observer.execute("create or replace view v3 as select 1 as a");
        }
        await backup.work(jobId, { holder });
        assert.equal(opened, 2, fault);
        await backup.expectSaved(jobId);
      }
    } finally {
      await observer.close();
    }
  });
}
