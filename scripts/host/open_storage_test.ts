import assert from "node:assert/strict";
import { isCode } from "../../tests/support/storage_suite.ts";
import { openHostStorage } from "./open_storage.ts";

Deno.test("openHostStorage() opens a directory, with its signs undone", async () => {
  const { location } = await openHostStorage("file:///var/my%20backups");
  assert.match(location, /my( |%20)backups/);
});

Deno.test("openHostStorage() says what is wrong with an address", async () => {
  for (const url of ["file:///%zz", "file:///100%", "file:///", "nonsense"]) {
    await assert.rejects(openHostStorage(url), isCode("invalid_config"), url);
  }
});
