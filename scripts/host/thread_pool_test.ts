import assert from "node:assert/strict";
import { ThreadPool } from "./thread_pool.ts";

const ACCESS = { databaseUrl: "", repositoryUrl: "", key: null };

Deno.test("where the system has no more threads, tasks fail as of threads that have ended", async () => {
  const real = globalThis.Worker;
  let asked = 0;
  globalThis.Worker = class {
    constructor() {
      asked++;
      throw new Error("Resource temporarily unavailable");
    }
  } as unknown as typeof Worker;
  try {
    const pool = new ThreadPool({ kind: "read", threads: 4, access: ACCESS });
    const tasks = [1, 2].map(() => pool.run({ kind: "read", pieces: [] }));
    for (const { status, reason } of await Promise.allSettled(tasks) as PromiseRejectedResult[]) {
      assert.equal(status, "rejected");
      assert.match(reason.message, /Resource temporarily unavailable/);
      assert.equal(reason.constructor.name, "ThreadEnded");
    }
    assert.equal(asked, 1, "it asks once");
    await pool.close();
  } finally {
    globalThis.Worker = real;
  }
});

Deno.test("threads that were closed before their first task do not start with it", async () => {
  const pool = new ThreadPool({ kind: "read", threads: 2, access: ACCESS });
  await pool.close();
  await assert.rejects(pool.run({ kind: "read", pieces: [] }), { code: "internal" });
});
