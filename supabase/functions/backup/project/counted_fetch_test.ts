import assert from "node:assert/strict";
import { Secret } from "../core/secret.ts";
import { workDone } from "../core/work_count.ts";
import { countedFetch } from "./counted_fetch.ts";
import type { FetchInit } from "./direct_fetch.ts";
import { S3Requests } from "./s3_requests.ts";
import { StorageApi } from "./storage_api.ts";

const signal = new AbortController().signal;
const INIT: FetchInit = { headers: {}, redirect: "manual", signal };

/** What is counted while something is done. */
async function countedBy(work: () => Promise<unknown>) {
  const before = workDone().request;
  await work();
  const { times, bytes } = workDone().request;
  return { times: times - before.times, bytes: bytes - before.bytes };
}

Deno.test("countedFetch counts the bytes of both ways, where they are said", async () => {
  const answers = (init: ResponseInit) => () => Promise.resolve(new Response(null, init));
  const large = answers({ headers: { "content-length": "5000" } });
  const cases = [
    [large, {}, 5000],
    [large, { method: "HEAD" }, 0],
    [large, { method: "POST", body: "12345" }, 5005],
    [answers({}), { method: "POST", body: new Uint8Array(70) }, 70],
    [answers({ headers: { "content-length": "many" } }), {}, 0],
  ] as const;
  for (const [fetch, init, bytes] of cases) {
    const counted = await countedBy(() => countedFetch(fetch)("", { ...INIT, ...init }));
    assert.deepEqual(counted, { times: 1, bytes });
  }
});

Deno.test("countedFetch counts a request that finds no answer", async () => {
  const fetch = countedFetch(() => Promise.reject(new TypeError("connection refused")));
  const counted = await countedBy(() => assert.rejects(fetch("", { ...INIT, body: "abc" })));
  assert.deepEqual(counted, { times: 1, bytes: 3 });
});

Deno.test("each try of a request to Storage and each request to a bucket of files is counted", async () => {
  const body = new Uint8Array(1000);
  const answers = [new Response("busy", { status: 503 }), new Response(body)];
  const api = new StorageApi({
    ...{ url: "http://localhost/storage/v1", key: new Secret("sb_secret_key") },
    clock: { now: () => new Date(), sleep: () => Promise.resolve() },
    fetch: () => Promise.resolve(answers.shift()!),
  });
  const file = { bucket: "photos", name: "a.png" };
  const tried = await countedBy(async () => await (await api.download(file, { signal }))?.cancel());
  assert.equal(tried.times, 2);

  const s3 = new S3Requests({
    ...{ bucket: "photos", region: "eu-west-1", endpoint: "http://localhost", pathStyle: true },
    credentials: { accessKeyId: "id", secretAccessKey: new Secret("key"), sessionToken: null },
    fetch: () => Promise.resolve(new Response(body, { headers: { "content-length": "1000" } })),
  });
  const counted = await countedBy(async () => {
    const { deadline } = await s3.get("a.png", { range: null, signal });
    deadline.end();
  });
  assert.deepEqual(counted, { times: 1, bytes: 1000 });
});
