import assert from "node:assert/strict";
import { isCode } from "../../../../tests/support/storage_suite.ts";
import { openStorage } from "./open.ts";

const CREDENTIALS: Record<string, string> = {
  AWS_ACCESS_KEY_ID: "id",
  AWS_SECRET_ACCESS_KEY: "very-secret",
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
    "ftp://host/x",
    "s3://id:secret@bucket/x",
    "s3://bucket/x?regoin=eu",
    "s3://bucket/x?pathStyle=yes",
    "s3:///x",
  ];
  for (const url of wrong) {
    assert.throws(() => openStorage(url, withCredentials), isCode("invalid_config"), url);
  }
});

Deno.test("openStorage() asks for S3 credentials by name", () => {
  assert.throws(() => openStorage("s3://bucket", () => undefined), /AWS|credentials/);
});
