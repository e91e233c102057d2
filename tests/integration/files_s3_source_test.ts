import assert from "node:assert/strict";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import type { BackupError } from "../../supabase/functions/backup/core/errors.ts";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import {
  s3Source,
  type S3SourceOptions,
} from "../../supabase/functions/backup/project/s3_source.ts";
import { s3Client } from "../../supabase/functions/backup/storage/s3_client.ts";
import { cuttingProxy } from "../support/cutting_proxy.ts";
import { type S3Server, startS3Server } from "../support/s3_server.ts";
import { bytesOf, listAll, saveFiles, SIGNAL } from "../support/saved_files.ts";

function options(server: S3Server): S3SourceOptions {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = server.credentials;
  return {
    ...{ bucket: "backups", prefix: "", region: "us-east-1", pathStyle: true },
    endpoint: server.endpoint,
    credentials: {
      accessKeyId: AWS_ACCESS_KEY_ID,
      secretAccessKey: new Secret(AWS_SECRET_ACCESS_KEY),
      sessionToken: null,
    },
    clock: { now: () => new Date(), sleep: () => Promise.resolve() },
  };
}

function source(server: S3Server, more: Partial<S3SourceOptions> = {}) {
  return s3Source({ ...options(server), ...more });
}

async function put(server: S3Server, name: string, body: Uint8Array | string, more = {}) {
  const client = s3Client(options(server));
  await client.send(new PutObjectCommand({ Bucket: "backups", Key: name, Body: body, ...more }));
}

async function withServer(run: (server: S3Server) => Promise<void>): Promise<void> {
  const server = await startS3Server();
  try {
    await run(server);
  } finally {
    await server.close();
  }
}

function code(expected: string) {
  return (error: BackupError) => {
    assert.equal(error.code, expected, String(error));
    assert.ok(error.hint, "no hint");
    return true;
  };
}

// The client of S3 keeps connections, which the test runner would take for leaks.
function test(name: string, run: (server: S3Server) => Promise<void>): void {
  Deno.test({ name, fn: () => withServer(run), sanitizeOps: false, sanitizeResources: false });
}

test("the objects of a bucket of S3 are saved with their bytes and metadata", async (server) => {
  await put(server, "a folder/it's.txt", "hello", {
    ...{ ContentType: "text/html", CacheControl: "max-age=60", Metadata: { author: "Zoe" } },
  });
  await put(server, "empty", new Uint8Array(0));
  const { items, open } = await saveFiles(source(server));
  assert.deepEqual(items.map(({ key, failure }) => [key, failure]), [
    ["backups/a folder/it's.txt", undefined],
    ["backups/empty", undefined],
  ]);
  const { eTag: _, updatedAt: __, ...facts } = items[0]!.facts;
  assert.deepEqual(facts, {
    ...{ mimetype: "text/html", cacheControl: "max-age=60", userMetadata: { author: "Zoe" } },
  });
  assert.equal(new TextDecoder().decode(await bytesOf(open(items[0]!.contents[0]!))), "hello");
  const listed = await listAll(source(server));
  assert.deepEqual(listed.map(({ revision }) => revision), items.map(({ revision }) => revision));
  const part = await listAll(source(server, { prefix: "a folder/" }));
  assert.deepEqual(part.map(({ key }) => key), ["backups/a folder/it's.txt"]);
});

test("an object that was stored compressed is saved as it is stored", async (server) => {
  const page = new Response(
    new Blob(["<p>".repeat(500)]).stream().pipeThrough(new CompressionStream("gzip")),
  );
  const stored = await page.bytes();
  await put(server, "page", stored, { ContentEncoding: "gzip", ContentType: "text/html" });
  const { items, open } = await saveFiles(source(server));
  assert.deepEqual(items.map(({ failure }) => failure), [undefined]);
  assert.equal(items[0]!.facts.contentEncoding, "gzip");
  assert.deepEqual(await bytesOf(open(items[0]!.contents[0]!)), stored);
});

test("behind a proxy an object that was stored compressed is saved as stored, or fails alone and says what helps", async (server) => {
  const page = new Response(
    new Blob(["<p>".repeat(500)]).stream().pipeThrough(new CompressionStream("gzip")),
  );
  const stored = await page.bytes();
  await put(server, "page", stored, { ContentEncoding: "gzip" });
  await put(server, "plain", "hello");
  const names = ["HTTP_PROXY", "NO_PROXY"];
  const before = names.map((name) => Deno.env.get(name));
  try {
    Deno.env.set("HTTP_PROXY", "http://127.0.0.1:9");
    Deno.env.set("NO_PROXY", "127.0.0.1"); // the runtime goes by both
    const { items, open } = await saveFiles(source(server));
    const [compressed, plain] = items;
    assert.equal(plain?.failure, undefined);
    if (compressed!.failure === undefined) { // newer runtimes leave it as it is
      assert.deepEqual(await bytesOf(open(compressed!.contents[0]!)), stored);
    } else {
      const { code, message, hint } = compressed!.failure;
      assert.equal(code, "files_changed");
      assert.match(message, /more than the \d+ bytes that were listed/);
      assert.match(hint ?? "", /HTTP_PROXY, HTTPS_PROXY and ALL_PROXY are not set/);
    }
  } finally {
    for (const [at, name] of names.entries()) {
      if (before[at] === undefined) Deno.env.delete(name);
      else Deno.env.set(name, before[at]);
    }
  }
});

test("a server that lists out of order is refused, since deletions could not be told", async (server) => {
  const contents = ["b", "a"].map((key) => `<Contents><Key>${key}</Key><Size>1</Size></Contents>`);
  const list = `<ListBucketResult><IsTruncated>false</IsTruncated>${
    contents.join("")
  }</ListBucketResult>`;
  const ending = new AbortController();
  const unordered = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {}, signal: ending.signal },
    () => new Response(list, { headers: { "content-type": "application/xml" } }),
  );
  const endpoint = `http://127.0.0.1:${unordered.addr.port}`;
  const page = source(server, { endpoint }).page(null, SIGNAL);
  await assert.rejects(page, code("files_refused"));
  ending.abort();
  await unordered.finished;
});

test("a name beyond ASCII is read as any other", async (server) => {
  await put(server, "日本/🎉", "unicode");
  const item = { key: "backups/日本/🎉", revision: null, facts: {}, sizeBytes: 0 };
  const read = await source(server).read(item, SIGNAL);
  assert.equal(new TextDecoder().decode(await bytesOf(read!.contents[0]!.body)), "unicode");
});

test("an object of S3 is read in ranges, and gone on with where the connection breaks", async (server) => {
  const bytes = new Uint8Array(3 << 20).map((_, at) => (at * 7) % 251);
  await put(server, "large", bytes, { ContentType: "video/mp4" });
  await using proxy = cuttingProxy(server.endpoint);
  const through = source(server, { endpoint: proxy.url.replace(/\/$/, "") });
  const [item] = await listAll(through);
  assert.equal(item!.facts.mimetype, "video/mp4");
  const range = await through.readRange!(item!, { from: 1000, to: 2_000_000, signal: SIGNAL });
  assert.equal((await bytesOf(range!.body)).length, 1_999_000);
  const cut = proxy.cutAfter(1 << 20, "to-client");
  const read = await through.read(item!, SIGNAL);
  const whole = await bytesOf(read!.contents[0]!.body);
  await cut;
  assert.equal(whole.length, bytes.length);
  assert.ok(whole.every((byte, at) => byte === bytes[at]));
  await put(server, "large", "now another");
  const late = through.readRange!(item!, { from: 0, to: 5, signal: SIGNAL });
  await assert.rejects(late, code("files_changed"));
  assert.equal(await source(server).read({ ...item!, key: "backups/none" }, SIGNAL), null);
});

test("a source on S3 that cannot be used says why", async (server) => {
  const describe = (more: Partial<S3SourceOptions>) => source(server, more).describe(SIGNAL);
  await assert.rejects(describe({ bucket: "other" }), code("files_refused"));
  const credentials = {
    accessKeyId: "NOBODY",
    secretAccessKey: new Secret("x"),
    sessionToken: null,
  };
  await assert.rejects(describe({ credentials }), code("files_unauthorized"));
  const endpoint = "http://127.0.0.1:9";
  await assert.rejects(describe({ endpoint, tries: 2 }), code("files_unreachable"));
});

test("names with signs that addresses and signatures treat apart are read as they are", async (server) => {
  for (const name of ["a+b", "a%20b", "a b", "it's (1)*!~", "q?x=1&y", "#h", "ä:;,@$="]) {
    await put(server, name, `content of ${name}`);
    const item = { key: `backups/${name}`, revision: null, facts: {}, sizeBytes: 1 };
    const found = await source(server).read(item, SIGNAL);
    const content = new TextDecoder().decode(await bytesOf(found!.contents[0]!.body));
    assert.equal(content, `content of ${name}`);
  }
});

test("a name with a part of dots alone is told of, and nothing else is read in its place", async (server) => {
  await put(server, "c", "another");
  for (const name of ["a/../c", "./c"]) {
    const item = { key: `backups/${name}`, revision: null, facts: {}, sizeBytes: 1 };
    await assert.rejects(source(server).read(item, SIGNAL), code("files_refused"));
  }
});

test("what a machine with a wrong clock signs is signed again by the server's", async (server) => {
  await put(server, "one", "content");
  const early = { now: () => new Date(Date.now() - 3_600_000), sleep: () => Promise.resolve() };
  const item = { key: "backups/one", revision: null, facts: {}, sizeBytes: 7 };
  assert.ok(await source(server, { clock: early }).read(item, SIGNAL) !== null);
});

Deno.test("a listing of S3 begins anywhere, and at the beginning behind keys of another bucket", async () => {
  await using server = Deno.serve({ port: 0, onListen: () => {} }, (request) => {
    const after = new URL(request.url).searchParams.get("start-after") ?? "";
    const names = ["o0", "o1", "o2", "o3", "o4"].filter((name) => name > after);
    const contents = names.map((name) =>
      `<Contents><Key>${name}</Key><Size>1</Size><ETag>&quot;${name}&quot;</ETag></Contents>`
    );
    return new Response(
      `<ListBucketResult><IsTruncated>false</IsTruncated>${contents.join("")}</ListBucketResult>`,
    );
  });
  const credentials = {
    ...{ accessKeyId: "test", secretAccessKey: new Secret("test"), sessionToken: null },
  };
  const listing = (await s3Source({
    ...{ bucket: "backups", prefix: "", region: "us-east-1", pathStyle: true, credentials },
    endpoint: `http://127.0.0.1:${server.addr.port}`,
  }).ranged!(SIGNAL))!;
  const names = async (from: string | null, upTo: string | null) => {
    const { items, end } = await listing.list({ from, upTo }, SIGNAL);
    assert.equal(end, true);
    return items.map(({ key }) => key.slice("backups/o".length)).join("");
  };
  assert.equal(await names(null, null), "01234");
  assert.equal(await names("backups/o1", "backups/o3"), "23");
  assert.equal(await names("a bucket/o3", null), "01234");
  assert.equal(await names(null, "a bucket/o3"), "");
  assert.equal(await names("the bucket/o1", null), "");
});

Deno.test("a listing of S3 that names nothing and promises more is no end", async () => {
  await using server = Deno.serve(
    { port: 0, onListen: () => {} },
    () => new Response("<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"),
  );
  const bucket = s3Source({
    ...{ bucket: "backups", prefix: "", region: "us-east-1", pathStyle: true },
    credentials: {
      ...{ accessKeyId: "test", secretAccessKey: new Secret("test"), sessionToken: null },
    },
    endpoint: `http://127.0.0.1:${server.addr.port}`,
  });
  await assert.rejects(bucket.page(null, SIGNAL), { code: "files_refused", message: /names none/ });
});

Deno.test("a listing of S3 that was cut off is refused, since what it lacks would look deleted", async () => {
  const whole = "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a</Key>" +
    "<Size>1</Size></Contents></ListBucketResult>";
  let list = "";
  await using server = Deno.serve({ port: 0, onListen: () => {} }, () => new Response(list));
  const bucket = s3Source({
    ...{ bucket: "backups", prefix: "", region: "us-east-1", pathStyle: true },
    credentials: {
      ...{ accessKeyId: "test", secretAccessKey: new Secret("test"), sessionToken: null },
    },
    endpoint: `http://127.0.0.1:${server.addr.port}`,
  });
  const noFlag = whole.replace("<IsTruncated>false</IsTruncated>", "");
  for (list of [noFlag, whole.slice(0, -5), whole.slice(0, whole.indexOf("<Contents>"))]) {
    await assert.rejects(bucket.page(null, SIGNAL), code("files_refused"));
  }
  list = whole;
  assert.equal((await bucket.page(null, SIGNAL)).items.length, 1);
});

Deno.test("an answer of S3 that does not say its length is held to the listing's", async () => {
  const sizes = { short: 9, right: 10, long: 11, endless: 10 };
  let sent = 0;
  const ending = new AbortController();
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {}, signal: ending.signal },
    ({ url }) => {
      const [, name = ""] = /\/backups\/(\w+)/.exec(url) ?? [];
      if (name === "") {
        const contents = Object.keys(sizes).sort().map((name) =>
          `<Contents><Key>${name}</Key><Size>10</Size></Contents>`
        );
        return new Response(
          `<ListBucketResult><IsTruncated>false</IsTruncated>${
            contents.join("")
          }</ListBucketResult>`,
        );
      }
      let left = name === "endless" || name === "refused" ? Infinity : sizes[name as "short"];
      const stream = new ReadableStream({
        pull(controller) {
          const bytes = Math.min(left, left === Infinity ? 1000 : 4);
          left -= bytes;
          sent += bytes;
          controller.enqueue(new Uint8Array(bytes));
          if (left === 0) controller.close();
        },
      });
      return new Response(stream, { status: name === "refused" ? 400 : 200 });
    },
  );
  const bucket = s3Source({
    ...{ bucket: "backups", prefix: "", region: "us-east-1", pathStyle: true },
    credentials: {
      ...{ accessKeyId: "test", secretAccessKey: new Secret("test"), sessionToken: null },
    },
    endpoint: `http://127.0.0.1:${server.addr.port}`,
  });
  try {
    const items = await listAll(bucket);
    assert.deepEqual(items.map(({ key }) => key.slice(8)), ["endless", "long", "right", "short"]);
    const [endless, long, right, short] = items;
    const read = await bucket.read(right!, SIGNAL);
    assert.ok(read!.revision === right!.revision);
    assert.equal((await bytesOf(read!.contents[0]!.body)).length, 10);
    for (const item of [endless!, long!, short!]) {
      await assert.rejects(bucket.read(item, SIGNAL), code("files_changed"));
    }
    // Larger objects pass through, however long they turn out to be.
    const large = { ...endless!, sizeBytes: 2 << 20 };
    const through = await bucket.read(large, SIGNAL);
    await assert.rejects(bytesOf(through!.contents[0]!.body), code("files_changed"));
    const range = await bucket.readRange!(large, { from: 0, to: 5000, signal: SIGNAL });
    await assert.rejects(bytesOf(range!.body), code("files_changed"));
    const refused = { ...endless!, key: "backups/refused" };
    await assert.rejects(bucket.read(refused, SIGNAL), code("files_refused"));
    assert.ok(sent < 64 << 20, "an answer without end is not read on");
  } finally {
    ending.abort();
    await server.finished;
  }
});
