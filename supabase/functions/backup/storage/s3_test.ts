/**
 * What the S3 storage makes of answers that the test server of `tests/support/s3_server.ts` never gives.
 * Real servers are tried in `tests/integration/s3_storage_test.ts`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { bytes, isCode, names } from "../../../../tests/support/storage_suite.ts";
import { isSigned } from "../../../../tests/support/s3_signed.ts";
import { Secret } from "../core/secret.ts";
import { systemClock } from "../core/clock.ts";
import type { BackupError } from "../core/errors.ts";
import { type S3Options, s3Storage } from "./s3.ts";
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
  /** Whether the signature is one of all this. */
  isSigned: boolean;
}

type Answerer = (asked: Asked) => Response | Promise<Response>;

async function withServer(
  answer: Answerer,
  run: (storage: Storage, asked: Asked[]) => Promise<void>,
  options: Partial<S3Options> = {},
): Promise<void> {
  const seen: Asked[] = [];
  const ending = new AbortController();
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {}, signal: ending.signal },
    async (request) => {
      const url = new URL(request.url);
      const body = new Uint8Array(await request.arrayBuffer());
      const asked = {
        method: request.method,
        key: decodeURIComponent(url.pathname.replace(/^\/bucket\/?/, "")),
        query: url.searchParams,
        headers: request.headers,
        body,
        isSigned: isSigned(request, body, "s"),
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
    ...options,
  });
  try {
    await run(storage, seen);
    assert.deepEqual(seen.filter(({ isSigned }) => !isSigned), []);
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
    const all = ["a", "b", "c", "d"].map((name) => patient.put(`chunks/${name}`, bytes(3)));
    assert.deepEqual(await Promise.all(all), Array(4).fill({ created: true }));
    assert.deepEqual(await patient.get("chunks/a"), bytes(3));
  });
  assert.equal(refused, 4, "those that were on their way together");
});

Deno.test("s3Storage() signs what it sends with all that it says of it", async () => {
  const lock = { mode: "compliance", days: 2, legalHold: true } as const;
  const answer: Answerer = ({ method }) =>
    new Response(null, { status: method === "HEAD" ? 404 : 200 });
  for (
    const [name, own] of [
      ["plain", {}],
      ["kept", { storageClass: "STANDARD_IA", lock, clock: systemClock }],
      ["session", {
        credentials: {
          ...{ accessKeyId: "a", secretAccessKey: new Secret("s") },
          sessionToken: new Secret("token/of+a session="),
        },
      }],
    ] as [string, Partial<S3Options>][]
  ) {
    await withServer(answer, async (storage, asked) => {
      const body = bytes(70_000);
      await storage.put(`chunks/${name}=x`, body);
      await storage.delete(`chunks/${name}=x`);
      assert.deepEqual(asked.map(({ method }) => method), ["HEAD", "PUT", "DELETE"], name);
      const { headers, ...put } = asked[1]!;
      assert.deepEqual([put.method, put.key, put.body], ["PUT", `p/chunks/${name}=x`, body]);
      const said = (header: string) => headers.get(header);
      assert.equal(said("x-amz-security-token"), name === "session" ? "token/of+a session=" : null);
      assert.equal(said("x-amz-storage-class"), name === "kept" ? "STANDARD_IA" : null);
      assert.equal(said("x-amz-object-lock-mode"), name === "kept" ? "COMPLIANCE" : null);
      assert.equal(said("x-amz-object-lock-legal-hold"), name === "kept" ? "ON" : null);
      const md5 = createHash("md5").update(body).digest("base64");
      assert.equal(said("content-md5"), name === "kept" ? md5 : null);
      if (name !== "kept") return;
      const until = Date.parse(said("x-amz-object-lock-retain-until-date") ?? "");
      assert.ok(until > Date.now() + 1.9 * 86_400_000 && until < Date.now() + 2.2 * 86_400_000);
    }, own);
  }
});

Deno.test("s3Storage() refuses a listing that was cut off, or names no way on", async () => {
  const page = (token: string) =>
    "<ListBucketResult><IsTruncated>true</IsTruncated>" + token +
    "<Contents><Key>p/a</Key><Size>1</Size></Contents></ListBucketResult>";
  const token = (text: string) => `<NextContinuationToken>${text}</NextContinuationToken>`;
  const error = "<Error><Code>InternalError</Code></Error>";
  for (
    const text of [
      ...[page(""), page(token("")), page(token("the same")), page("").slice(0, -1)],
      ...["<html>sign in</html>", "", error],
    ]
  ) {
    await withServer(() => new Response(text), async (storage, asked) => {
      await assert.rejects(
        names(storage, ""),
        (thrown: BackupError) =>
          thrown.code === "storage_unreachable" &&
          thrown.message.includes("InternalError") === (text === error),
        text,
      );
      assert.ok(asked.length <= 2, text);
    });
  }
});

Deno.test("s3Storage() follows no pages that lead in a circle", async () => {
  const circle: Answerer = ({ query }) => {
    const token = query.get("continuation-token") === "a" ? "b" : "a";
    return new Response(
      "<ListBucketResult><IsTruncated>true</IsTruncated>" +
        `<NextContinuationToken>${token}</NextContinuationToken></ListBucketResult>`,
    );
  };
  await withServer(circle, async (storage, asked) => {
    await assert.rejects(names(storage, ""), isCode("storage_unreachable"));
    assert.equal(asked.length, 3);
  });
});

Deno.test("s3Storage() tells size and time of an object, and refuses a time that cannot be read", async () => {
  const times = new Map([
    ["a", "Sun, 22 Nov 2026 10:00:00 GMT"],
    ["b", "yesterday"],
    ["c", "2026-11-22 10:00:00"],
  ]);
  const answer: Answerer = ({ key }) =>
    new Response(null, {
      headers: { "content-length": "12", "last-modified": times.get(key.slice(2)) ?? "" },
    });
  await withServer(answer, async (storage) => {
    const modifiedAt = new Date("2026-11-22T10:00:00Z");
    assert.deepEqual(await storage.head("a"), { name: "a", sizeBytes: 12, modifiedAt });
    for (const name of ["b", "c"]) {
      await assert.rejects(storage.head(name), isCode("storage_unreachable"), name);
    }
  });
});

Deno.test("s3Storage() deletes what is not there without an error", async () => {
  await withServer(() => refusal(404, "NoSuchKey"), (storage) => storage.delete("a"));
});

Deno.test("s3Storage() stops in the middle of an answer when it is told to", async () => {
  const endless: Answerer = () =>
    new Response(
      new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65536)) }),
    );
  const silent: Answerer = () => new Promise(() => {});
  for (const answer of [endless, silent]) {
    await withServer(answer, async (storage) => {
      const ending = new AbortController();
      const reading = storage.get("a", { signal: ending.signal });
      setTimeout(() => ending.abort(new Error("enough")), 50);
      await assert.rejects(reading, /enough/);
    });
  }
});

Deno.test("s3Storage() names the region that a server tells", async () => {
  const wrong =
    "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-3</Region></Error>";
  const moved = "<Error><Code>PermanentRedirect</Code></Error>";
  const told = { headers: { "x-amz-bucket-region": "eu-west-3" } };
  for (
    const answer of [
      () => new Response(wrong, { status: 400 }),
      () => new Response(moved, { status: 301, ...told }),
    ]
  ) {
    await withServer(answer, async (storage) => {
      await assert.rejects(
        storage.get("a"),
        (error: BackupError) =>
          error.code === "storage_refused" && /eu-west-3/.test(error.hint ?? ""),
      );
    });
  }
});

Deno.test("s3Storage() notices a body that ends before its length", async () => {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const serving = (async () => {
    for await (const connection of listener) {
      await connection.read(new Uint8Array(65536));
      const head = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
      await connection.write(new TextEncoder().encode(head));
      connection.close();
    }
  })();
  const endpoint = `http://127.0.0.1:${(listener.addr as Deno.NetAddr).port}`;
  await withServer(() => new Response(null), async (storage) => {
    await assert.rejects(storage.get("a"), isCode("storage_unreachable"));
  }, { endpoint });
  listener.close();
  await serving;
});

Deno.test("s3Storage() stores, reads, lists and deletes without the large client", async () => {
  const program = `
    import { s3Storage } from ${JSON.stringify(new URL("./s3.ts", import.meta.url).href)};
    import { Secret } from ${JSON.stringify(new URL("../core/secret.ts", import.meta.url).href)};
    const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, ({ method, url }) =>
      url.includes("list-type")
        ? new Response("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
        : new Response(null, { status: method === "HEAD" ? 404 : 200 }));
    const storage = s3Storage({
      bucket: "b", prefix: "", region: "us-east-1", pathStyle: true,
      endpoint: "http://127.0.0.1:" + server.addr.port,
      credentials: { accessKeyId: "a", secretAccessKey: new Secret("s"), sessionToken: null },
    });
    await storage.put("a", new Uint8Array(5));
    await storage.get("a");
    await Array.fromAsync(storage.list(""));
    await storage.delete("a");
    console.log("well");
    await storage.put("large", new Uint8Array(17 << 20)).catch((error) => console.log(String(error.cause ?? error)));
    Deno.exit();
  `;
  const folder = await Deno.makeTempDir({ prefix: "backup_s3_client_" });
  const map = {
    imports: { "@aws-sdk/client-s3": "./absent.ts", "@smithy/fetch-http-handler": "./absent.ts" },
  };
  await Deno.writeTextFile(`${folder}/map.json`, JSON.stringify(map));
  await Deno.writeTextFile(`${folder}/absent.ts`, `throw new Error("the large client");`);
  await Deno.writeTextFile(`${folder}/program.ts`, program);
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "--no-check", "--no-lock", "--no-config"],
      ...[`--import-map=${folder}/map.json`, `${folder}/program.ts`],
    ],
  }).output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  assert.match(said, /^well\n/);
  // What is sent in parts needs it: the trap is one.
  assert.match(said, /does not provide an export|the large client/);
  await Deno.remove(folder, { recursive: true });
});
