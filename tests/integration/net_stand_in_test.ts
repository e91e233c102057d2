import assert from "node:assert/strict";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { startNetStandIn } from "../support/net_stand_in.ts";
import { temporaryDatabase } from "../support/temporary_database.ts";

/** A receiver that answers `slow` calls only when it is let go. */
function receiver() {
  const calls: string[] = [];
  const letGo = Promise.withResolvers<void>();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    async (request) => {
      const { pathname } = new URL(request.url);
      calls.push(`${pathname} ${(await request.text()).length}`);
      if (pathname === "/slow") await letGo.promise;
      return new Response("ok");
    },
  );
  return {
    calls,
    url: `http://127.0.0.1:${server.addr.port}`,
    async [Symbol.asyncDispose]() {
      letGo.resolve();
      await server.shutdown();
    },
  };
}

Deno.test("the stand-in for pg_net sends after the commit, cuts at the timeout and loses large bodies", async () => {
  await using temporary = await temporaryDatabase("e2_net");
  await using net = await startNetStandIn(temporary.url);
  await using here = receiver();
  const session = await connect({ url: temporary.url });
  const post = (path: string, body: string, timeout = 5000) =>
    session.query(
      "select net.http_post($1, to_jsonb($2::text), timeout_milliseconds := $3::integer)",
      [`${here.url}${path}`, body, timeout],
    );
  const answers = async (count: number) => {
    for (;;) {
      const responses = await net.responses();
      if (responses.length >= count) return responses;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  try {
    await session.execute("begin");
    await post("/rolled-back", "x");
    await session.execute("rollback");
    await session.execute("begin");
    await post("/large", "x".repeat(70_000));
    await post("/slow", "x", 100);
    await post("/good", "x");
    assert.deepEqual(here.calls, [], "sent before the commit");
    await session.execute("commit");
    const [slow, good] = (await answers(2)).toSorted((a, b) =>
      Number(b.timedOut) - Number(a.timedOut)
    );
    assert.equal(slow?.timedOut, true);
    assert.equal(good?.statusCode, 200);
    assert.deepEqual(here.calls.toSorted(), ["/good 3", "/slow 3"]);
  } finally {
    await session.close();
  }
});
