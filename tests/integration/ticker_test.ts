/**
 * The clock of a process that lives on, on a real database: what is due is begun and done without any request.
 *
 * @module
 */
import assert from "node:assert/strict";
import { startService } from "../../scripts/start_service.ts";
import { NOTHING_DUE, post, startServiceUnderTest } from "../support/service.ts";

/** Long enough for a slow machine; a good run needs some seconds. */
const PATIENCE_MS = 60_000;

Deno.test("a served process backs up what is due by its own clock, and nobody asks it to", async () => {
  const it = await startServiceUnderTest(NOTHING_DUE);
  try {
    assert.equal((await post(it.service, "init")).status, 200);
    await using admin = await it.admin();
    // What is new is due some minutes after init.
    await admin.execute(
      "update backup_internal.migrations set applied_at = applied_at - interval '1 day'",
    );
    const variables = { ...it.variables, BACKUP_ENABLE_DATABASE_BACKUP: "true" };
    const served = startService(variables, { ticker: true });
    try {
      const begun = Date.now();
      let job: { status: string } | undefined;
      while (job?.status !== "completed" && Date.now() - begun < PATIENCE_MS) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        [job] = await admin.query(
          "select status from public.backup_jobs where type = 'database'",
        ) as { status: string }[];
      }
      assert.equal(job?.status, "completed");
    } finally {
      await served.stop();
    }
  } finally {
    await it.stop();
  }
});
