/**
 * The storage of Google Cloud against the stand-in of `tests/support/gcs_server.ts`: neither npm nor Debian
 * has a server of it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { gcsStorage } from "../../supabase/functions/backup/storage/gcs.ts";
import { readServiceAccount } from "../../supabase/functions/backup/storage/gcs_token.ts";
import { retryStorage } from "../../supabase/functions/backup/storage/retry.ts";
import { type GcsServer, refusal, startGcsServer } from "../support/gcs_server.ts";
import { bytes, isCode, names, testStorage } from "../support/storage_suite.ts";

function open(server: GcsServer, { bucket = "backups", keyFile = server.keyFile } = {}) {
  const { endpoint } = server;
  const account = readServiceAccount(new Secret(keyFile), { endpoint });
  return gcsStorage({ bucket, prefix: "some/prefix/", endpoint, account });
}

testStorage("gcsStorage()", async () => {
  const server = await startGcsServer();
  return { storage: open(server), reopen: () => open(server), close: () => server.close() };
});
