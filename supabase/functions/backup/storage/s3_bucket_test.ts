import assert from "node:assert/strict";
import { HeadObjectCommand } from "@aws-sdk/client-s3";
import { isCode } from "../../../../tests/support/storage_suite.ts";
import { Secret } from "../core/secret.ts";
import { S3Bucket, type S3BucketOptions } from "./s3_bucket.ts";
import { s3Client } from "./s3_client.ts";

const OPTIONS: S3BucketOptions = {
  ...{ bucket: "photos", region: "eu-west-3", endpoint: null, pathStyle: false },
  credentials: { accessKeyId: "a", secretAccessKey: new Secret("s"), sessionToken: null },
};

function addressOf(options: Partial<S3BucketOptions>): string {
  return new S3Bucket({ ...OPTIONS, ...options }).requestFor({ method: "GET", name: "x/y" }).url;
}

Deno.test("S3Bucket asks a bucket by its own host at Amazon, wherever the region is", () => {
  const amazon = { endpoint: null };
  assert.equal(addressOf(amazon), "https://photos.s3.eu-west-3.amazonaws.com/x/y");
  for (
    const [region, domain] of [
      ["cn-north-1", "amazonaws.com.cn"],
      ["us-gov-west-1", "amazonaws.com"],
      ["eusc-de-east-1", "amazonaws.eu"],
      ["us-iso-east-1", "c2s.ic.gov"],
      ["us-isob-east-1", "sc2s.sgov.gov"],
    ] as const
  ) {
    assert.equal(addressOf({ ...amazon, region }), `https://photos.s3.${region}.${domain}/x/y`);
  }
});

Deno.test("S3Bucket asks by the path for buckets and servers whose names cannot be put together", () => {
  for (const bucket of ["My_Bucket", "under_score", "ab", "-ab-", "with.dots"]) {
    const path = `https://s3.eu-west-3.amazonaws.com/${bucket}/x/y`;
    assert.equal(addressOf({ bucket }), path);
  }
  for (const endpoint of ["http://127.0.0.1:9000", "http://[::1]:9000"]) {
    assert.equal(addressOf({ endpoint }), `${endpoint}/photos/x/y`);
  }
  const endpoint = "https://ref.storage.supabase.co/storage/v1/s3/";
  assert.equal(addressOf({ endpoint, pathStyle: true }), `${endpoint}photos/x/y`);
  assert.equal(addressOf({ endpoint: "http://minio:9000" }), "http://photos.minio:9000/x/y");
});

Deno.test("S3Bucket takes no region that leads to another server", () => {
  for (const region of ["evil.example/#", "a b", "", "eu\n"]) {
    assert.throws(() => addressOf({ region }), isCode("invalid_config"), region);
  }
});

Deno.test("S3Bucket takes no bucket of another kind at Amazon", () => {
  for (const bucket of ["photos--eun1-az1--x-s3", "a--eun1-az1--xa-s3", "alias--op-s3"]) {
    assert.throws(() => addressOf({ bucket }), isCode("invalid_config"), bucket);
    addressOf({ bucket, endpoint: "https://minio" });
  }
});

Deno.test("the large client asks where all other requests go, whatever its own variables say", async () => {
  const variables = {
    AWS_ENDPOINT_URL: "http://127.0.0.1:1",
    AWS_ENDPOINT_URL_S3: "http://127.0.0.1:2",
    AWS_USE_FIPS_ENDPOINT: "true",
    AWS_USE_DUALSTACK_ENDPOINT: "true",
  };
  for (const [name, value] of Object.entries(variables)) Deno.env.set(name, value);
  try {
    for (
      const options of [
        {},
        { region: "cn-north-1" },
        { region: "eusc-de-east-1" },
        { bucket: "with.dots" },
        { bucket: "My_Bucket" },
        { endpoint: "https://minio:9000", pathStyle: true },
        { endpoint: "https://minio:9000/s3/" },
        { endpoint: "http://127.0.0.1:9000" },
      ]
    ) {
      const bucket = options.bucket ?? OPTIONS.bucket;
      const client = s3Client({ ...OPTIONS, ...options });
      let asked = "";
      client.middlewareStack.add(() => (args) => {
        const { protocol, hostname, port, path } = (args as { request: HttpRequest }).request;
        asked = `${protocol}//${hostname}${port ? `:${port}` : ""}${path}`;
        return Promise.reject(new Error("asked"));
      }, { step: "finalizeRequest", priority: "low" });
      await assert.rejects(client.send(new HeadObjectCommand({ Bucket: bucket, Key: "x/y" })));
      assert.equal(asked, addressOf(options));
    }
  } finally {
    for (const name of Object.keys(variables)) Deno.env.delete(name);
  }
});

/** What is looked at of the client's request. */
interface HttpRequest {
  protocol: string;
  hostname: string;
  port?: number;
  path: string;
}
