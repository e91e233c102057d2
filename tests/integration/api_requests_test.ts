/**
 * The pace that all workers keep together towards the Management API.
 *
 * @module
 */
import assert from "node:assert/strict";
import { systemClock } from "../../supabase/functions/backup/core/clock.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { RequestPace } from "../../supabase/functions/backup/project/request_pace.ts";
import { State } from "../../supabase/functions/backup/state/state.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

const LIMIT = { requests: 20, windowMs: 60_000 };

Deno.test("workers of different processes together send no more in a minute than one may", async () => {
  await using database = await temporaryDatabase("api_requests");
  const states = [1, 2, 3].map(() => new State(new Secret(database.url)));
  try {
    await states[0]!.migrate();
    const asked = Array.from({ length: 30 }, (_, at) => states[at % 3]!.apiRequests.take(LIMIT));
    const waits = await Promise.all(asked);
    assert.equal(waits.filter((wait) => wait === 0).length, LIMIT.requests);
    const others = waits.filter((wait) => wait > 0);
    assert.ok(others.every((wait) => wait > 30_000 && wait <= LIMIT.windowMs), String(others));

    // When the window has gone by, as many again.
    await states[0]!.database.run(
      "let time go by",
      (sql) => sql`update backup_internal.api_requests set sent_at = sent_at - interval '1 minute'`,
    );
    assert.equal(await states[1]!.apiRequests.take(LIMIT), 0);
    const [row] = await states[0]!.database.run(
      "count",
      (sql) => sql`select count(*)::int as rows from backup_internal.api_requests`,
    );
    assert.equal(row?.rows, 1);
  } finally {
    for (const state of states) await state.close();
  }
});

Deno.test("a worker waits as long as the others' requests ask for, and then sends", async () => {
  const waits = [5_000, 1_000, 0];
  const slept: number[] = [];
  const clock = { ...systemClock, sleep: (ms: number) => Promise.resolve(void slept.push(ms)) };
  const pace = new RequestPace(LIMIT, clock, (limit) => {
    assert.deepEqual(limit, LIMIT);
    return Promise.resolve(waits.shift()!);
  });
  await pace.enter(new AbortController().signal);
  assert.deepEqual(slept, [5_000, 1_000]);
});

Deno.test("a database that is away, or has no tables yet, holds no request back", async () => {
  await using database = await temporaryDatabase("api_requests_none");
  for (const url of [database.url, "postgres://postgres@127.0.0.1:9/postgres"]) {
    const state = new State(new Secret(url));
    try {
      const takes = Array.from({ length: 25 }, () => state.apiRequests.take(LIMIT));
      assert.deepEqual(new Set(await Promise.all(takes)), new Set([0]));
    } finally {
      await state.close();
    }
  }
});
