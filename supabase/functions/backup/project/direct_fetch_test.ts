import assert from "node:assert/strict";
import { concat, utf8 } from "../core/bytes.ts";
import { BrokenAnswer } from "./http_answer.ts";
import { DirectFetch, fetchAsStored, type FetchInit } from "./direct_fetch.ts";

const ASKED: FetchInit = {
  headers: { accept: "*/*" },
  redirect: "manual",
  signal: new AbortController().signal,
};

/** What a server does with a request: gives bytes, piece by piece, and then maybe ends the connection. */
type Reply = { pieces: (string | Uint8Array)[]; ends?: boolean };

/** A server that answers with the bytes that it is told to, and counts connections. */
async function withServer(
  reply: (request: string, connection: number) => Reply,
  work: (origin: string, seen: { connections: number }) => Promise<void>,
): Promise<void> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const seen = { connections: 0 };
  const serving = (async () => {
    const open: Promise<void>[] = [];
    for await (const connection of listener) {
      const number = ++seen.connections;
      open.push(serve(connection, (request) => reply(request, number)));
    }
    await Promise.all(open);
  })();
  try {
    await work(`http://127.0.0.1:${listener.addr.port}`, seen);
  } finally {
    listener.close();
    await serving;
  }
}

async function serve(connection: Deno.Conn, reply: (request: string) => Reply): Promise<void> {
  const buffer = new Uint8Array(8192);
  try {
    for (let asked = "";;) {
      const count = await connection.read(buffer);
      if (count === null) return;
      asked += new TextDecoder().decode(buffer.subarray(0, count));
      if (!asked.endsWith("\r\n\r\n")) continue;
      const { pieces, ends = false } = reply(asked);
      asked = "";
      for (const piece of pieces) {
        await connection.write(typeof piece === "string" ? utf8(piece) : piece);
      }
      if (ends) return;
    }
  } catch {
    return; // the other side has left
  } finally {
    connection.close();
  }
}

const OK = "HTTP/1.1 200 OK\r\n";

Deno.test("DirectFetch reads answers however they are cut, over one connection", () =>
  withServer(
    (request) => {
      const [, path = ""] = /^GET (\S+) HTTP\/1\.1\r\nhost: 127\.0\.0\.1:\d+\r\n/.exec(request) ??
        [];
      switch (path) {
        case "/whole?a=b%20c":
          return { pieces: [`${OK}Content-Length: 5\r\nX-One: 1\r\nx-one: 2\r\n\r\nhello`] };
        case "/bits":
          return { pieces: [..."HTTP/1.1 404 No\r\ncontent-length:3\r\n\r\nbye"] };
        case "/empty":
          return { pieces: [`${OK}content-length: 0\r\n\r\n`] };
        default:
          return {
            pieces: [
              ...[`${OK}Transfer-Encoding: chunked\r\n\r\n4`, "\r\nwiki", "\r\nC;x=y\r\npedia "],
              ...["in\r\nc", "h\r\n0\r\nTrailer: 1\r\n\r\n"],
            ],
          };
      }
    },
    async (origin, seen) => {
      const direct = new DirectFetch();
      const whole = await direct.fetch(`${origin}/whole?a=b%20c`, ASKED);
      assert.deepEqual([whole.status, whole.ok], [200, true]);
      assert.equal(whole.headers.get("x-one"), "1, 2");
      assert.equal(await whole.text(), "hello");
      const missing = await direct.fetch(`${origin}/bits`, ASKED);
      assert.deepEqual([missing.status, missing.ok, await missing.text()], [404, false, "bye"]);
      assert.equal((await direct.fetch(`${origin}/empty`, ASKED)).body, null);
      const chunked = await direct.fetch(`${origin}/chunked`, ASKED);
      const pieces = await Array.fromAsync(chunked.body!);
      assert.equal(new TextDecoder().decode(concat(pieces)), "wikipedia in\r\nch");
      assert.equal(seen.connections, 1);
      direct.close();
    },
  ));

Deno.test("DirectFetch asks again where a connection that waited has ended, and only there", () =>
  withServer(
    (request, connection) => {
      if (request.startsWith("GET /cut")) {
        return { pieces: [`${OK}content-length: 9\r\n\r\nfour`], ends: true };
      }
      if (request.startsWith("GET /never")) return { pieces: [], ends: true };
      // It does not say that it ends the connection: the next request finds it out.
      return { pieces: [`${OK}content-length: 1\r\n\r\n${connection}`], ends: true };
    },
    async (origin, seen) => {
      const direct = new DirectFetch();
      for (const expected of ["1", "2", "3"]) {
        assert.equal(await (await direct.fetch(`${origin}/`, ASKED)).text(), expected);
      }
      await assert.rejects(direct.fetch(`${origin}/never`, ASKED), /no answer came/);
      const cut = await direct.fetch(`${origin}/cut`, ASKED);
      await assert.rejects(cut.bytes(), /ended within the answer/);
      const asStream = await direct.fetch(`${origin}/cut`, ASKED);
      await assert.rejects(Array.fromAsync(asStream.body!), /ended within the answer/);
      assert.equal(seen.connections, 6);
      direct.close();
    },
  ));

Deno.test("DirectFetch keeps no connection whose answer was given up, aborted, has no length or more than it says", () =>
  withServer(
    (request) =>
      request.startsWith("GET /more")
        ? { pieces: [`${OK}content-length: 1\r\n\r\nabc`] }
        : request.startsWith("GET /long")
        ? { pieces: [`${OK}content-length: 9999999\r\n\r\n`, "x"] }
        : { pieces: [`${OK}\r\nuntil the end`], ends: true },
    async (origin, seen) => {
      const direct = new DirectFetch();
      await (await direct.fetch(`${origin}/long`, ASKED)).body!.cancel();
      for await (const _ of (await direct.fetch(`${origin}/long`, ASKED)).body!) break;
      const stop = new AbortController();
      const aborted = await direct.fetch(`${origin}/long`, { ...ASKED, signal: stop.signal });
      const reading = aborted.bytes();
      stop.abort(new Error("enough"));
      await assert.rejects(reading, /enough/);
      await assert.rejects(direct.fetch(`${origin}/`, { ...ASKED, signal: stop.signal }), /enough/);
      assert.equal(await (await direct.fetch(`${origin}/`, ASKED)).text(), "until the end");
      for (const _ of [1, 2]) {
        assert.equal(await (await direct.fetch(`${origin}/more`, ASKED)).text(), "a");
      }
      assert.equal(seen.connections, 6);
      direct.close();
    },
  ));

Deno.test("DirectFetch takes for an answer only what is one", () =>
  withServer(
    (request) => {
      const answers: Record<string, string> = {
        "/ftp": "220 ready\r\n\r\n",
        "/line": `${OK}no colon\r\n\r\n`,
        "/length": `${OK}content-length: -1\r\n\r\n`,
        "/coded": `${OK}transfer-encoding: gzip, chunked\r\n\r\n`,
        "/early": "HTTP/1.1 103 Early Hints\r\n\r\n",
        "/endless": `${OK}x: ${"y".repeat(40_000)}`,
        "/size": `${OK}transfer-encoding: chunked\r\n\r\nzz\r\n`,
        "/longer": `${OK}transfer-encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n`,
      };
      return { pieces: [answers[request.split(" ")[1]!]!] };
    },
    async (origin) => {
      const direct = new DirectFetch();
      const read = async (path: string) => await (await direct.fetch(origin + path, ASKED)).bytes();
      for (const path of ["ftp", "line", "length", "coded", "early", "endless", "size", "longer"]) {
        await assert.rejects(read(`/${path}`), BrokenAnswer, path);
      }
      const evil = { ...ASKED, headers: { "x-amz-date": "1\r\nx-evil: 2" } };
      await assert.rejects(direct.fetch(`${origin}/`, evil), TypeError);
      for (const bad of ["/a b", "/\u00e4", "/\r\nx: 1"]) {
        await assert.rejects(direct.fetch(origin + bad, ASKED), TypeError);
      }
      direct.close();
    },
  ));

Deno.test("fetchAsStored() gives what is stored compressed as it is stored", async () => {
  const stored = await new Response(
    new Blob(["hello ".repeat(100)]).stream().pipeThrough(new CompressionStream("gzip")),
  ).bytes();
  const headers = { "content-encoding": "gzip", etag: '"1"' };
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    () => new Response(stored, { headers }),
  );
  const url = `http://127.0.0.1:${server.addr.port}/`;
  const answer = await fetchAsStored(url, ASKED);
  assert.equal(answer.headers.get("content-encoding"), "gzip");
  assert.deepEqual(await answer.bytes(), stored);
  const head = await fetchAsStored(url, { ...ASKED, method: "HEAD" });
  assert.equal(head.headers.get("content-length"), String(stored.length));
});

const PROXY_NAMES = [
  "NO_PROXY",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "ALL_PROXY",
  "http_proxy",
  "https_proxy",
  "all_proxy",
];

Deno.test("fetchAsStored() leaves everything to the runtime where there is a proxy", async () => {
  const stored = await new Response(
    new Blob(["hello ".repeat(100)]).stream().pipeThrough(new CompressionStream("gzip")),
  ).bytes();
  let asked = 0;
  await using server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, () => {
    asked++;
    return new Response(stored, { headers: { "content-encoding": "gzip" } });
  });
  const url = `http://127.0.0.1:${server.addr.port}/`;
  const before = new Map(PROXY_NAMES.map((name) => [name, Deno.env.get(name)]));
  try {
    for (const name of PROXY_NAMES) Deno.env.delete(name);
    await (await fetchAsStored(url, ASKED)).bytes();
    assert.equal(asked, 2, "once by the runtime, and once as it is stored");
    Deno.env.set("NO_PROXY", "127.0.0.1"); // the runtime's business, which it asks this server for
    for (const name of PROXY_NAMES.slice(1)) {
      Deno.env.set(name, "http://127.0.0.1:9");
      asked = 0;
      await (await fetchAsStored(url, ASKED)).bytes();
      assert.equal(asked, 1, name);
      Deno.env.delete(name);
    }
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
  }
});

Deno.test("DirectFetch gives room again that was given back, and none that is in use", async () => {
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    (request) => new Response(new URL(request.url).pathname),
  );
  const direct = new DirectFetch();
  const read = async (path: string) =>
    await (await direct.fetch(`http://127.0.0.1:${server.addr.port}/${path}`, ASKED)).bytes();
  const [one, two] = [await read("one"), await read("two")];
  assert.notEqual(one.buffer, two.buffer);
  direct.recycle(one);
  direct.recycle(new Uint8Array(3)); // none of its own
  const three = await read("three");
  assert.equal(three.buffer, one.buffer);
  assert.deepEqual([three, two].map((bytes) => new TextDecoder().decode(bytes)), [
    "/three",
    "/two",
  ]);
  direct.close();
});
