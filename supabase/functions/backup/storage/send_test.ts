import assert from "node:assert/strict";
import { isCode } from "../../../../tests/support/storage_suite.ts";
import { readBytes, send } from "./send.ts";

/** A server that sends a letter each 50 ms, `letters` of them, and then nothing more without ending. */
function slowServer(letters: number, { ends }: { ends: boolean }) {
  return Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, () => {
    let sent = 0;
    let timer: number;
    return new Response(
      new ReadableStream<Uint8Array>({
        start(controller) {
          timer = setInterval(() => {
            if (sent++ < letters) return controller.enqueue(new TextEncoder().encode("a"));
            clearInterval(timer);
            if (ends) controller.close();
          }, 50);
        },
        cancel: () => clearInterval(timer),
      }),
    );
  });
}

async function ask(server: Deno.HttpServer<Deno.NetAddr>): Promise<number> {
  const options = { name: "a", maxBytes: 100 };
  return await send(`http://127.0.0.1:${server.addr.port}/`, {
    ...{ verb: "read a", timeoutMs: 400 },
    take: async (answer, heard) => (await readBytes(answer, { ...options, heard })).length,
  });
}

Deno.test("send() waits as long as something comes", async () => {
  await using server = slowServer(20, { ends: true });
  assert.equal(await ask(server), 20);
});

Deno.test("send() gives up when nothing more comes", async () => {
  await using server = slowServer(3, { ends: false });
  await assert.rejects(ask(server), isCode("storage_unreachable"));
});

Deno.test("readBytes() refuses a body that is not as long as was said", async () => {
  for (const told of [3, 5]) {
    const answer = new Response("half", { headers: { "content-length": String(told) } });
    await assert.rejects(
      readBytes(answer, { name: "a", maxBytes: 100 }),
      isCode("storage_unreachable"),
    );
  }
});
