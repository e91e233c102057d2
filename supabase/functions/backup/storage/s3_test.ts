/**
 * What the S3 storage makes of answers that the test server of `tests/support/s3_server.ts` never gives.
 * Real servers are tried in `tests/integration/s3_storage_test.ts`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { bytes, isCode, names } from "../../../../tests/support/storage_suite.ts";
import { Secret } from "../core/secret.ts";
import { s3Storage } from "./s3.ts";
import { retryStorage } from "./retry.ts";
import type { Storage } from "./storage.ts";

/** A request as S3 sees it. */
interface Asked {
  method: string;
  /** Without the bucket. */
  key: string;
  query: URLSearchParams;
  headers: Headers;
  body: Uint8Array;
}

type Answerer = (asked: Asked) => Response | Promise<Response>;

async function withServer(
  answer: Answerer,
  run: (storage: Storage, asked: Asked[]) => Promise<void>,
): Promise<void> {
  const seen: Asked[] = [];
  const ending = new AbortController();
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {}, signal: ending.signal },
    async (request) => {
      const url = new URL(request.url);
      const asked = {
        method: request.method,
        key: decodeURIComponent(url.pathname.replace(/^\/bucket\/?/, "")),
        query: url.searchParams,
        headers: request.headers,
        body: new Uint8Array(await request.arrayBuffer()),
      };
      seen.push(asked);
      return await answer(asked);
    },
  );
  const storage = s3Storage({
    bucket: "bucket",
    prefix: "p/",
    region: "us-east-1",
    endpoint: `http://127.0.0.1:${server.addr.port}`,
    pathStyle: true,
    credentials: { accessKeyId: "a", secretAccessKey: new Secret("s"), sessionToken: null },
  });
  try {
    await run(storage, seen);
  } finally {
    ending.abort(); // an orderly end would wait for connections that the client keeps
    await server.finished;
  }
}

function refusal(status: number, code: string): Response {
  return new Response(`<Error><Code>${code}</Code><Message>no</Message></Error>`, {
    status,
    headers: { "content-type": "application/xml" },
  });
}

Deno.test("s3Storage() follows the pages of a listing to its end, in order", async () => {
  const all = Array.from({ length: 2500 }, (_, i) => `p/x/${String(i).padStart(5, "0")}`);
  const page: Answerer = ({ query }) => {
    assert.equal(query.get("list-type"), "2");
    assert.equal(query.get("prefix"), "p/x/");
    const from = Number(query.get("continuation-token")?.replace("token ", "") ?? 0);
    const keys = all.slice(from, from + 1000);
    const more = from + 1000 < all.length;
    const contents = keys.map((key) => `<Contents><Key>${key}</Key><Size>7</Size></Contents>`);
    return new Response(
      `<ListBucketResult><IsTruncated>${more}</IsTruncated>${contents.join("")}` +
        (more ? `<NextContinuationToken>token ${from + 1000}</NextContinuationToken>` : "") +
        "</ListBucketResult>",
      { headers: { "content-type": "application/xml" } },
    );
  };
  await withServer(page, async (storage, asked) => {
    assert.deepEqual(await names(storage, "x/"), all.map((key) => key.slice(2)));
    assert.equal(asked.length, 3);
  });
});

Deno.test("s3Storage() puts on the condition that there is none, and heeds the server's no", async () => {
  const stored = new Map<string, Uint8Array>();
  // HEAD says no to both writers, as it does when they come at the same moment.
  const conditional: Answerer = ({ method, key, headers, body }) => {
    if (method === "HEAD") return new Response(null, { status: 404 });
    if (method === "GET") return new Response(stored.get(key)?.slice());
    assert.equal(headers.get("if-none-match"), "*");
    if (stored.has(key)) return refusal(412, "PreconditionFailed");
    stored.set(key, body);
    return new Response(null, { status: 200 });
  };
  await withServer(conditional, async (storage) => {
    const answers = [await storage.put("a", bytes(3)), await storage.put("a", bytes(4))];
    assert.deepEqual(answers, [{ created: true }, { created: false }]);
    assert.deepEqual(await storage.get("a"), bytes(3));
  });
});

Deno.test("s3Storage() ends a multipart upload on the same condition and takes its parts away", async () => {
  const racing: Answerer = ({ method, query, headers }) => {
    if (method === "HEAD") return new Response(null, { status: 404 });
    if (method === "POST" && query.has("uploads")) {
      return new Response(
        "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
        { headers: { "content-type": "application/xml" } },
      );
    }
    if (method === "PUT") return new Response(null, { headers: { etag: '"part"' } });
    if (method === "DELETE") return new Response(null, { status: 204 });
    assert.equal(headers.get("if-none-match"), "*");
    return refusal(412, "PreconditionFailed");
  };
  await withServer(racing, async (storage, asked) => {
    assert.deepEqual(await storage.put("big", bytes(17 * 1024 * 1024)), { created: false });
    const parts = asked.filter(({ method }) => method === "PUT");
    assert.deepEqual(parts.map(({ query }) => query.get("partNumber")), ["1", "2", "3"]);
    const last = asked.at(-1);
    assert.deepEqual([last?.method, last?.query.get("uploadId")], ["DELETE", "u"]);
  });
});

Deno.test("s3Storage() does without the condition where the server knows none", async () => {
  const old: Answerer = ({ method, headers }) => {
    if (method === "HEAD") return new Response(null, { status: 404 });
    return headers.has("if-none-match") ? refusal(501, "NotImplemented") : new Response(null);
  };
  await withServer(old, async (storage, asked) => {
    assert.deepEqual(await storage.put("a", bytes(3)), { created: true });
    assert.deepEqual(await storage.put("b", bytes(3)), { created: true });
    const puts = asked.filter(({ method }) => method === "PUT");
    assert.equal(puts.length, 3, "it asks for the impossible once");
  });
});

Deno.test("s3Storage() does not follow a server that sends it elsewhere", async () => {
  let reached = false;
  const inside = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, () => {
    reached = true;
    return new Response("internal");
  });
  const location = `http://127.0.0.1:${inside.addr.port}/latest/meta-data`;
  const sends: Answerer = () => new Response(null, { status: 307, headers: { location } });
  await withServer(sends, async (storage) => {
    await assert.rejects(storage.get("a"), isCode("storage_refused"));
    await assert.rejects(storage.put("a", bytes(1)), isCode("storage_refused"));
  });
  await inside.shutdown();
  assert.equal(reached, false);
});

Deno.test("s3Storage() stops reading an object that is longer than anything of ours", async () => {
  let sent = 0;
  // No length is told: the storage has to count.
  const endless: Answerer = () =>
    new Response(
      new ReadableStream({
        pull(controller) {
          sent += 65536;
          controller.enqueue(new Uint8Array(65536));
        },
      }),
    );
  await withServer(endless, async (storage) => {
    await assert.rejects(storage.get("a", { maxBytes: 1_000_000 }), isCode("object_oversized"));
  });
  assert.ok(sent < 100_000_000, `${sent} bytes were taken`);
});

Deno.test("s3Storage() does not begin to read an object that says it is too long", async () => {
  const huge: Answerer = () =>
    new Response(
      new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65536)) }),
      {
        headers: { "content-length": String(10 * 1024 ** 3) },
      },
    );
  await withServer(huge, async (storage) => {
    await assert.rejects(storage.get("a", { maxBytes: 1_000_000 }), isCode("object_oversized"));
  });
});

Deno.test("s3Storage() signs by the server's clock when this machine's is wrong by days", async () => {
  const aheadMs = 2 * 86_400_000;
  const objects = new Map<string, Uint8Array>();
  let refused = 0;
  const answer = ({ method, key, headers, body }: Asked): Response => {
    const now = new Date(Date.now() + aheadMs);
    const common = { headers: { date: now.toUTCString() } };
    const signed = headers.get("x-amz-date")!
      .replace(/^(.{4})(..)(..T)(..)(..)(..Z)$/, "$1-$2-$3$4:$5:$6");
    if (Math.abs(new Date(signed).getTime() - now.getTime()) > 900_000) {
      refused++;
      const text = "<Error><Code>RequestTimeTooSkewed</Code><Message>no</Message></Error>";
      return new Response(method === "HEAD" ? null : text, { status: 403, ...common });
    }
    if (method === "PUT") {
      objects.set(key, body);
      return new Response(null, common);
    }
    const object = objects.get(key);
    const found = method === "HEAD" ? null : object as BodyInit | undefined;
    return new Response(found ?? null, { status: object ? 200 : 404, ...common });
  };
  await withServer(answer, async (storage) => {
    const patient = retryStorage(storage, { firstDelayMs: 1 });
    assert.deepEqual(await patient.put("chunks/a", bytes(3)), { created: true });
    assert.deepEqual(await patient.get("chunks/a"), bytes(3));
  });
  assert.equal(refused, 1);
});
