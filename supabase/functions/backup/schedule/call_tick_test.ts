import assert from "node:assert/strict";
import { Secret } from "../core/secret.ts";
import { StateDatabase } from "../state/database.ts";
import { callTick, LONGEST_CHAIN, type TickCall } from "./call_tick.ts";

/** A service that answers as told, one item a call: a state, a status, or something thrown. */
function service(answers: (string | number | Error)[]) {
  const calls: { url: string; body: unknown; apikey: string | null }[] = [];
  const pauses: number[] = [];
  const send = async (request: Request) => {
    calls.push({
      url: request.url,
      body: await request.json(),
      apikey: request.headers.get("apikey"),
    });
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    if (typeof answer === "number") return new Response("{}", { status: answer });
    return Response.json({ success: true, data: { state: answer } }, { status: 202 });
  };
  const call = (what: TickCall, functionUrl: string | null = "https://here/backup") =>
    callTick(what, {
      database: new StateDatabase(null), // cannot be asked
      environment: {
        functionUrl,
        secretKeys: [{ name: "default", key: new Secret("sb_secret_x") }],
        serviceRoleKey: null,
        allowedKeys: null,
      },
      clock: {
        now: () => new Date(0),
        sleep: (ms) => Promise.resolve(void pauses.push(ms)),
      },
      fetch: send,
    });
  return { calls, pauses, call };
}

Deno.test("callTick sends the depth and the scheduler's key, and gives the answer's state", async () => {
  const { calls, call } = service(["started"]);
  assert.deepEqual(await call({ depth: 3 }), { state: "started" });
  assert.equal(calls[0]?.url, "https://here/backup?action=tick");
  assert.deepEqual(calls[0]?.body, { depth: 3 });
  assert.match(calls[0]?.apikey ?? "", /^backup_scheduler_/);
});

Deno.test("callTick asks once more when the isolate died while it was asked", async () => {
  const { calls, call } = service([546, "started"]);
  assert.deepEqual(await call({ depth: 0 }), { state: "started" });
  assert.equal(calls.length, 2);
});

Deno.test("callTick waits as long as the platform's rate limit says", async () => {
  const limit = Object.assign(new Error("rate"), { name: "RateLimitError", retryAfterMs: 1234 });
  const { pauses, call } = service([limit, "working"]);
  assert.deepEqual(await call({ depth: 0 }), { state: "working" });
  assert.deepEqual(pauses, [1234]);
});

Deno.test("callTick gives up when nobody can be called, without throwing", async () => {
  const far = Object.assign(new Error("rate"), { name: "RateLimitError", retryAfterMs: 59_000 });
  assert.equal(await service([far]).call({ depth: 0 }), null);
  assert.equal(await service([new TypeError("refused"), 503]).call({ depth: 0 }), null);
  const nowhere = service([]);
  assert.equal(await nowhere.call({ depth: 0 }, null), null);
  assert.equal(nowhere.calls.length, 0);
});

Deno.test("callTick goes on by itself at the end of a chain when the database cannot be asked", async () => {
  const { calls, call } = service(["started"]);
  assert.deepEqual(await call({ depth: LONGEST_CHAIN }), { state: "started" });
  assert.equal(calls.length, 1);
});
