/**
 * The storage of Azure against Azurite.
 *
 * @module
 */
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { azureStorage } from "../../supabase/functions/backup/storage/azure.ts";
import { readAzureAccess } from "../../supabase/functions/backup/storage/azure_access.ts";
import { type AzureServer, startAzureServer } from "../support/azure_server.ts";
import { testStorage } from "../support/storage_suite.ts";

let starting: Promise<AzureServer> | undefined;
const start = () => starting ??= startAzureServer();

function open({ endpoint, account, key }: AzureServer, container: string) {
  const access = readAzureAccess(new Secret(key), { account, endpoint });
  return azureStorage({ container, prefix: "some/prefix/", access });
}

testStorage("azureStorage()", async () => {
  const server = await start();
  const container = await server.container();
  return { storage: open(server, container), reopen: () => open(server, container) };
}, { sanitize: false });
Deno.test("the server stops", { sanitizeOps: false, sanitizeResources: false }, async () => {
  await (await start()).close();
});
