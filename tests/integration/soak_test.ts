/**
 * The short forms of the long trials of `deno task soak`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { auditBank } from "../../scripts/soak/bank.ts";
import { tryConsistency } from "../../scripts/soak/consistency.ts";
import { tryKills } from "../../scripts/soak/kills.ts";
import { startSoakServer } from "../../scripts/soak/soak_server.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";

const SEED = 7;

Deno.test("a bank at work comes out as of one moment from hosted workers", async () => {
  await using server = await startSoakServer({ pgCron: false });
  await server.emptyTarget();
  const report = await tryConsistency({
    ...server,
    bytes: 10e6,
    seed: SEED,
    kills: 1,
    betweenMs: [50, 150],
    tickMs: 2000,
  });
  assert.deepEqual(report.problems, []);
  assert.deepEqual(report.kills, { backup: 1, restore: 1 });
  const { consistency } = report.backup.job.result as {
    consistency: { level: string; strategy: string };
  };
  assert.deepEqual([consistency.level, consistency.strategy], ["one-moment", "keeper"]);
  assert.ok(report.load.transfers > 0 && report.load.changes > 0, JSON.stringify(report.load));

  const target = await connect({ url: server.targetUrl });
  try {
    await target.execute("UPDATE accounts SET balance = balance + 1 WHERE id = 1");
    assert.deepEqual(await auditBank(target), [
      "the total of all accounts is 1000001, not 1000000",
      "the number of accounts that differ from their transfers is 1, not 0",
    ]);
  } finally {
    await target.close();
  }
});

Deno.test("random kills in backups, restores and copies end in whole results or clear errors", async () => {
  await using server = await startSoakServer({ pgCron: false });
  const { problems, kills, completed, refused } = await tryKills({
    server,
    bytes: 5e6,
    kills: 6,
    killsAJob: 2, // what backup and restore leave is the copy's
    seed: SEED,
  });
  assert.deepEqual(problems, [], `seed ${SEED}`);
  assert.equal(kills, 6);
  assert.ok(completed > 0, JSON.stringify(refused));
});
