import assert from "node:assert/strict";
import { isCode } from "../../../../tests/support/storage_suite.ts";
import type { BackupError } from "../core/errors.ts";
import { openStorage } from "./open.ts";

const CREDENTIALS: Record<string, string> = {
  AWS_ACCESS_KEY_ID: "id",
  AWS_SECRET_ACCESS_KEY: "very-secret",
  GOOGLE_CREDENTIALS: JSON.stringify({
    type: "service_account",
    client_email: "writer@project.example",
    private_key: "very-secret",
  }),
  AZURE_STORAGE_KEY: btoa("very-secret-very-secret"),
  SUPABASE_STORAGE_KEY: "very-secret",
};
const withCredentials = (name: string) => CREDENTIALS[name];

Deno.test("openStorage() names the place without credentials", () => {
  assert.equal(
    openStorage("file:///var/backups/", () => undefined).location,
    "file:///var/backups",
  );
  const url = "s3://bucket/a/b?endpoint=http://127.0.0.1:9000&region=eu-central-1";
  assert.equal(openStorage(url, withCredentials).location, "s3://bucket/a/b/");
});

Deno.test("openStorage() refuses addresses that it does not understand", () => {
  const wrong = [
    "",
    "/var/backups",
    "file://host/x",
    "file:///",
    "file:///%zz",
    "file:///100%",
    "s3://bucket/%ff",
    "ftp://host/x",
    "s3://id:secret@bucket/x",
    "s3://bucket/x?regoin=eu",
    "s3://bucket/x?pathStyle=yes",
    "s3:///x",
    "s3://bucket/x?storageClass=GLACIER",
    "s3://bucket/x?lockMode=compliance",
    "s3://bucket/x?lockMode=governance&lockDays=0",
    "s3://bucket/x?lockMode=soft&lockDays=1",
    "s3://bucket/x?legalHold=1",
    "s3://bucket/x?endpoint=ftp://host",
    "gs://bucket/x?region=eu",
    "gs://bucket/x?storageClass=STANDARD_IA",
    "azure://container/x",
    "azure://container/x?account=a&storageClass=Archive",
    "supabase://bucket/x",
    "supabase://bucket/x?endpoint=https://ref.supabase.co&lockMode=compliance&lockDays=1",
  ];
  for (const url of wrong) {
    assert.throws(() => openStorage(url, withCredentials), isCode("invalid_config"), url);
  }
});

Deno.test("openStorage() opens every kind of storage, with its lock", () => {
  const kept = "lockMode=compliance&lockDays=30&legalHold=true";
  const lock = { mode: "compliance", days: 30, legalHold: true };
  const expected: [string, string][] = [
    [`s3://bucket/a?storageClass=GLACIER_IR&${kept}`, "s3://bucket/a/"],
    [`gs://bucket/a?storageClass=ARCHIVE&${kept}`, "gs://bucket/a/"],
    [`azure://box/a?account=mine&storageClass=Cold&${kept}`, "azure://box/a/?account=mine"],
  ];
  for (const [url, location] of expected) {
    const storage = openStorage(url, withCredentials);
    assert.equal(storage.location, location);
    assert.deepEqual(storage.lock, lock, url);
    assert.ok(storage.extendLock, url);
  }
  const supabase = openStorage("supabase://b/a?endpoint=https://ref.supabase.co", withCredentials);
  assert.equal(supabase.location, "supabase://b/a/?endpoint=https://ref.supabase.co");
  assert.equal(supabase.extendLock, undefined);
});

Deno.test("openStorage() asks for credentials by name, and never shows them", () => {
  const kinds: [string, RegExp][] = [
    ["s3://bucket", /AWS_ACCESS_KEY_ID/],
    ["gs://bucket", /GOOGLE_CREDENTIALS/],
    ["azure://container?account=mine", /AZURE_STORAGE_KEY/],
    ["supabase://bucket?endpoint=https://ref.supabase.co", /SUPABASE_STORAGE_KEY/],
  ];
  for (const [url, variable] of kinds) {
    const asks = (error: BackupError) =>
      error.code === "invalid_config" && variable.test(error.hint!);
    assert.throws(() => openStorage(url, () => undefined), asks, url);
    assert.doesNotMatch(Deno.inspect(openStorage(url, withCredentials)), /very-secret|dmVyeS1z/);
  }
});

Deno.test("openStorage() asks whether it may connect, also where a connection string says where", () => {
  const asked: string[] = [];
  const allow = (endpoint: string) => void asked.push(endpoint);
  const open = (url: string, env: Record<string, string>) =>
    openStorage(url, (name) => env[name], { allow });
  const key = btoa("very-secret-very-secret");
  const AZURE_STORAGE_CONNECTION_STRING =
    `DefaultEndpointsProtocol=https;AccountName=mine;AccountKey=${key};BlobEndpoint=https://evil.example/`;
  open("azure://container", { AZURE_STORAGE_CONNECTION_STRING });
  open("azure://container?account=mine", { AZURE_STORAGE_SAS_TOKEN: "?sv=1&sig=x" });
  open("s3://bucket?endpoint=https://minio.example", CREDENTIALS);
  assert.deepEqual(asked, [
    "https://evil.example",
    "https://mine.blob.core.windows.net",
    "https://minio.example",
  ]);
});

Deno.test("openStorage() says what is wrong with a key of Google or Azure, and quotes nothing", () => {
  const wrong: [string, Record<string, string>][] = [
    ["gs://bucket", { GOOGLE_CREDENTIALS: "very-secret" }],
    ["gs://bucket", { GOOGLE_CREDENTIALS: '{"type": "authorized_user", "x": "very-secret"}' }],
    ["gs://bucket", { GOOGLE_CREDENTIALS: '{"type": "service_account"}' }],
    [
      "gs://bucket",
      {
        GOOGLE_CREDENTIALS: CREDENTIALS.GOOGLE_CREDENTIALS!
          .replace("{", '{"token_uri": "https://evil.example/token",'),
      },
    ],
    ["azure://container?account=mine", { AZURE_STORAGE_KEY: "very-secret" }],
    ["azure://container", { AZURE_STORAGE_KEY: btoa("very-secret-very-secret") }],
  ];
  for (const [url, env] of wrong) {
    assert.throws(() => openStorage(url, (name) => env[name]), (error: BackupError) => {
      assert.equal(error.code, "invalid_config", error.message);
      assert.doesNotMatch(`${error.message} ${error.hint}`, /very-secret|dmVyeS1z|evil/);
      return true;
    });
  }
});

/** Opens a storage of S3 with variables besides its keys. */
function openS3(more: Record<string, string>, url: string) {
  const keys = { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "key" };
  const variables: Record<string, string> = { ...keys, ...more };
  return openStorage(url, (name) => variables[name]);
}

Deno.test("openStorage() takes of the environment of S3 what can be used", async () => {
  const seen: string[] = [];
  const told: [string | null, string | null][] = [];
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    (request) => {
      const { headers } = request;
      seen.push(new URL(request.url).pathname);
      const scope = /Credential=([^,]+)/.exec(headers.get("authorization") ?? "")?.[1] ?? "";
      told.push([scope.replace(/\/\d+\//, "/"), headers.get("x-amz-security-token")]);
      return new Response(null, { status: 404 });
    },
  );
  const own = `http://127.0.0.1:${server.addr.port}`;
  const cases: [Record<string, string>, string][] = [
    [{ AWS_ENDPOINT_URL_S3: ` ${own} ` }, "s3://bucket/p"],
    [{ AWS_ENDPOINT_URL_S3: "", AWS_ENDPOINT_URL: own }, "s3://bucket/p?region="],
    [{ AWS_ENDPOINT_URL: "nowhere", AWS_REGION: "eu\n" }, `s3://bucket/p?endpoint=${own}`],
    [
      { AWS_ACCESS_KEY_ID: "id\n", AWS_SESSION_TOKEN: "token\n", AWS_SECRET_ACCESS_KEY: "pä ss" },
      `s3://bucket/p?endpoint=${own}&region=RegionOne`,
    ],
  ];
  for (const [more, url] of cases) assert.equal(await openS3(more, url).head("a"), null);
  assert.deepEqual(seen, Array(4).fill("/bucket/p/a"));
  assert.deepEqual(told, [
    ["id/us-east-1/s3/aws4_request", null],
    ["id/us-east-1/s3/aws4_request", null],
    ["id/eu/s3/aws4_request", null],
    ["id/RegionOne/s3/aws4_request", "token"],
  ]);
});

Deno.test("openStorage() says what of the environment of S3 cannot be used", () => {
  const cases: [Record<string, string>, string][] = [
    [{ AWS_ENDPOINT_URL_S3: "minio:9000" }, "s3://bucket/p"],
    [{ AWS_ENDPOINT_URL: "http://" }, "s3://bucket/p"],
    [{ AWS_USE_FIPS_ENDPOINT: "true" }, "s3://bucket/p"],
    [{ AWS_USE_DUALSTACK_ENDPOINT: "True" }, "s3://bucket/p"],
    [{ AWS_SESSION_TOKEN: "zq\nxj" }, "s3://bucket/p"],
    [{ AWS_ACCESS_KEY_ID: "zq xj" }, "s3://bucket/p"],
    [{ AWS_REGION: "eu west" }, "s3://bucket/p"],
    [{}, "s3://bucket/p?region=evil.example/%23"],
    [{}, "s3://photos--eun1-az1--x-s3/p"],
  ];
  for (const [more, url] of cases) {
    const refused = (error: BackupError) =>
      error.code === "invalid_config" && error.hint !== undefined &&
      !/zq|xj/.test(Deno.inspect(error));
    assert.throws(() => openS3(more, url), refused, JSON.stringify([more, url]));
  }
});
