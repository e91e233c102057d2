import assert from "node:assert/strict";
import { s3SourceSettings } from "./s3_source_settings.ts";

const GOOD = { BUCKET: "photos", ACCESS_KEY: "AKIA", SECRET_KEY: "hidden" };

function settingsOf(variables: Record<string, string>) {
  return s3SourceSettings((name) => variables[name.replace("BACKUP_FILES_SOURCE_", "")]);
}

Deno.test("s3SourceSettings() names no source where no bucket is named", () => {
  assert.equal(settingsOf({}), null);
  assert.equal(settingsOf({ ACCESS_KEY: "AKIA", REGION: "no region!" }), null);
});

Deno.test("s3SourceSettings() takes Amazon's servers unless an address is given", () => {
  const { credentials: _, ...usual } = settingsOf(GOOD)!;
  assert.deepEqual(usual, {
    ...{ bucket: "photos", endpoint: null, pathStyle: false, region: "us-east-1", prefix: "" },
  });
  const other = settingsOf({ ...GOOD, ENDPOINT: "https://r2.example/s3", PREFIX: "a b/" })!;
  assert.deepEqual(
    [other.endpoint, other.pathStyle, other.prefix],
    ["https://r2.example/s3", true, "a b/"],
  );
});

Deno.test("s3SourceSettings() names the variable that is missing or wrong, and not its value", () => {
  const wrong: [Record<string, string>, string][] = [
    [{ BUCKET: "photos", SECRET_KEY: "hidden" }, "ACCESS_KEY"],
    [{ BUCKET: "photos", ACCESS_KEY: "AKIA" }, "SECRET_KEY"],
    [{ ...GOOD, SECRET_KEY: "your-secret-key" }, "SECRET_KEY"],
    [{ ...GOOD, BUCKET: "../x" }, "BUCKET"],
    [{ ...GOOD, ENDPOINT: "https://user:hidden@host" }, "ENDPOINT"],
    [{ ...GOOD, ENDPOINT: "file:///etc/hidden" }, "ENDPOINT"],
    [{ ...GOOD, REGION: "eu west" }, "REGION"],
    [{ ...GOOD, PREFIX: "a\u0000b" }, "PREFIX"],
  ];
  for (const [variables, name] of wrong) {
    assert.throws(() => settingsOf(variables), (error: Error & { code?: string }) => {
      assert.equal(error.code, "invalid_config");
      assert.match(error.message, new RegExp(`BACKUP_FILES_SOURCE_${name}:`));
      assert.doesNotMatch(error.message, /hidden/);
      return true;
    });
  }
});
