import assert from "node:assert/strict";
import { readEnvironment } from "../config.ts";
import { managementAccess } from "./management_access.ts";

const REF = "abcdefghijklmnopqrst";

function access(variables: Record<string, string>) {
  return managementAccess(readEnvironment((name) => variables[name]));
}

Deno.test("managementAccess() says what is missing, and opens a client when nothing is", () => {
  assert.deepEqual(access({ SUPABASE_URL: `https://${REF}.supabase.co` }), {
    api: null,
    projectRef: REF,
    withoutApi: "BACKUP_MANAGEMENT_TOKEN is not set",
  });
  assert.deepEqual(access({ BACKUP_MANAGEMENT_TOKEN: "sbp_x" }), {
    api: null,
    projectRef: null,
    withoutApi: "the project's ref is not known: set BACKUP_PROJECT_REF",
  });
  const { api } = access({
    BACKUP_MANAGEMENT_TOKEN: "sbp_x",
    BACKUP_PROJECT_REF: REF,
    SUPABASE_URL: "http://kong:8000",
  });
  assert.equal(api?.projectRef, REF);
});

Deno.test("managementAccess() refuses an address or a ref that cannot be one", () => {
  assert.throws(
    () =>
      access({
        ...{ BACKUP_MANAGEMENT_TOKEN: "sbp_x", BACKUP_PROJECT_REF: REF },
        BACKUP_MANAGEMENT_URL: "http://api.example.com",
      }),
    { code: "invalid_config", message: /BACKUP_MANAGEMENT_URL/ },
  );
  assert.throws(() => access({ BACKUP_PROJECT_REF: "my project" }), {
    code: "invalid_config",
    message: /BACKUP_PROJECT_REF/,
  });
});
