import assert from "node:assert/strict";
import { GetObjectCommand } from "@aws-sdk/client-s3";
import { isSigned } from "../../../../tests/support/s3_signed.ts";
import { Secret } from "../core/secret.ts";
import { s3Client } from "../storage/s3_client.ts";
import { S3Requests } from "./s3_requests.ts";

const SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

Deno.test("S3Requests signs what Amazon's own client signs, whatever the name", async () => {
  const verdicts: [boolean, string | null][] = [];
  await using server = Deno.serve({ port: 0, onListen: () => {} }, (request) => {
    const verdict = isSigned(request, new Uint8Array(0), SECRET);
    verdicts.push([verdict, request.headers.get("x-amz-security-token")]);
    const { searchParams } = new URL(request.url);
    if (searchParams.get("list-type") !== "2") return new Response("content");
    const name = `${searchParams.get("prefix")}|${searchParams.get("start-after")}`;
    return new Response(
      `<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>${name}</Key><Size>1</Size></Contents></ListBucketResult>`,
    );
  });
  const options = {
    ...{ bucket: "photos", region: "eu-west-3", pathStyle: true },
    endpoint: `http://127.0.0.1:${server.addr.port}`,
    credentials: {
      ...{ accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: new Secret(SECRET) },
      sessionToken: new Secret("token/of+a session="),
    },
  };
  const client = s3Client(options);
  const requests = new S3Requests(options);
  const names = [
    "plain",
    "a b/c+d",
    "100%20",
    "it's (1)*!~",
    "q?x=1&y=#h",
    "ä/\u{1f600}:;,@$=",
    "a//b/",
  ];
  const { signal } = new AbortController();
  for (const name of names) {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: "photos", Key: name }));
    await Body?.transformToByteArray();
    for (const range of [null, "bytes=0-3"]) {
      const { response, deadline } = await requests.get(name, { range, signal });
      await response.text();
      deadline.end();
    }
  }
  for (const name of names.filter((name) => !/[&#]/.test(name))) {
    const { objects } = await requests.list({ prefix: name, after: name, limit: 7 }, signal);
    assert.deepEqual(objects.map((object) => object.name), [`${name}|${name}`]);
    assert.equal((await requests.head(name, signal)).ContentLength, 7);
  }
  assert.equal(verdicts.length, 3 * names.length + 2 * (names.length - 1));
  for (const verdict of verdicts) assert.deepEqual(verdict, [true, "token/of+a session="]);
});

Deno.test("S3Requests follows no server to another place", async () => {
  await using server = Deno.serve(
    { port: 0, onListen: () => {} },
    () => new Response(null, { status: 307, headers: { location: "http://127.0.0.1:1/" } }),
  );
  const requests = new S3Requests({
    ...{ bucket: "photos", region: "us-east-1", pathStyle: true },
    endpoint: `http://127.0.0.1:${server.addr.port}`,
    credentials: { accessKeyId: "id", secretAccessKey: new Secret("key"), sessionToken: null },
  });
  const { signal } = new AbortController();
  await assert.rejects(
    requests.get("one", { range: null, signal }),
    (error: { $metadata?: { httpStatusCode: number } }) => error.$metadata?.httpStatusCode === 307,
  );
});
