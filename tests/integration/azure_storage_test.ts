/**
 * The storage of Azure against Azurite.
 *
 * @module
 */
import assert from "node:assert/strict";
import { ContainerSASPermissions } from "@azure/storage-blob";
import { Secret } from "../../supabase/functions/backup/core/secret.ts";
import { type AzureOptions, azureStorage } from "../../supabase/functions/backup/storage/azure.ts";
import {
  type AzurePlace,
  readAzureAccess,
} from "../../supabase/functions/backup/storage/azure_access.ts";
import { retryStorage } from "../../supabase/functions/backup/storage/retry.ts";
import type { Storage } from "../../supabase/functions/backup/storage/storage.ts";
import { type AzureServer, startAzureServer } from "../support/azure_server.ts";
import { cuttingProxy } from "../support/cutting_proxy.ts";
import { bytes, isCode, names, testStorage } from "../support/storage_suite.ts";

// One server for the file: the last test stops it.
const shared = { sanitizeOps: false, sanitizeResources: false };

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
Deno.test(
  "azureStorage() enters by a shared access signature and by a connection string",
  shared,
  async () => {
    const server = await start();
    const { endpoint, account, key, service } = server;
    const container = await server.container();
    const until = new Date(Date.now() + 3_600_000);
    const sign = (permissions: string, expiresOn = until) =>
      service.getContainerClient(container).generateSasUrl({
        permissions: ContainerSASPermissions.parse(permissions),
        expiresOn,
      }).then((url) => url.slice(url.indexOf("?")));
    const by = (secret: string, place = { account, endpoint } as AzurePlace) =>
      azureStorage({ container, prefix: "p/", access: readAzureAccess(new Secret(secret), place) });
    const signed = by(await sign("racwdl"));
    await signed.put("a", bytes(3));
    assert.deepEqual(await names(signed, ""), ["a"]);
    assert.equal(await signed.probe!.reachesMore(), false);
    const text = `DefaultEndpointsProtocol=http;AccountName=${account};AccountKey=${key};` +
      `BlobEndpoint=${endpoint};`;
    assert.deepEqual(await by(text, { account: null, endpoint: null }).get("a"), bytes(3));
    const ended = by(await sign("racwdl", new Date(Date.now() - 3_600_000)));
    await assert.rejects(ended.get("a"), isCode("storage_refused"));
    const reader = by(await sign("r"));
    assert.deepEqual(await reader.get("a"), bytes(3));
    await assert.rejects(reader.put("b", bytes(1)), isCode("storage_refused"));
    const wrong = by(btoa("another key of thirty-two bytes "));
    await assert.rejects(wrong.get("a"), isCode("storage_refused"));
  },
);

Deno.test("azureStorage() names a missing container", shared, async () => {
  const nowhere = open(await start(), "nowhere");
  for (
    const ask of [
      () => nowhere.put("a", bytes(1)),
      () => nowhere.get("a"),
      () => names(nowhere, ""),
    ]
  ) {
    await assert.rejects(ask, isCode("storage_refused"));
  }
});

Deno.test("azureStorage() calls a server that is not there unreachable", shared, async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  const endpoint = `http://127.0.0.1:${port}/account`;
  const access = readAzureAccess(new Secret(btoa("some key of thirty-two bytes")), {
    account: "account",
    endpoint,
  });
  const storage = azureStorage({ container: "c", prefix: "", access });
  await assert.rejects(storage.put("a", bytes(1)), isCode("storage_unreachable"));
});

Deno.test(
  "azureStorage() stores large objects whole though the connection is cut in mid-upload",
  shared,
  async () => {
    const server = await start();
    const container = await server.container();
    await using proxy = cuttingProxy(server.endpoint);
    const patient = retryStorage(open({ ...server, endpoint: proxy.url }, container), {
      firstDelayMs: 1,
    });
    const cut = proxy.cutAfter(9 * 1024 * 1024, "to-server");
    const body = bytes(17 * 1024 * 1024);
    assert.deepEqual(await patient.put("large", body), { created: true });
    await cut;
    const stored = await open(server, container).get("large");
    assert.ok(stored.length === body.length && stored.every((byte, at) => byte === body[at]));
  },
);

/** Answers everything alike, and keeps what was asked. */
async function withAnswers(
  answer: (request: Request) => Response,
  run: (storage: Storage, asked: { url: string; headers: Headers }[]) => Promise<void>,
  options: Partial<AzureOptions> = {},
): Promise<void> {
  const asked: { url: string; headers: Headers }[] = [];
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    async (request) => {
      asked.push({ url: request.url, headers: new Headers(request.headers) });
      await request.body?.cancel();
      return answer(request);
    },
  );
  const endpoint = `http://127.0.0.1:${server.addr.port}/account`;
  const access = readAzureAccess(new Secret("?sv=1&sig=x"), { account: null, endpoint });
  try {
    await run(azureStorage({ container: "box", prefix: "p/", access, ...options }), asked);
  } finally {
    await server.shutdown();
  }
}

function refused(status: number, code: string): Response {
  const text = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>no</Message></Error>`;
  const headers = { "content-type": "application/xml", "x-ms-error-code": code };
  return new Response(text, { status, headers });
}

const REFUSALS: [number, string, string][] = [
  [403, "AuthenticationFailed", "storage_refused"],
  [403, "AuthorizationFailure", "storage_refused"],
  [404, "BlobNotFound", "storage_missing"],
  [404, "ContainerNotFound", "storage_refused"],
  [409, "BlobImmutableDueToPolicy", "storage_refused"],
  [409, "BlobArchived", "storage_refused"],
  [409, "ContainerBeingDeleted", "storage_unreachable"],
  [429, "TooManyRequests", "storage_unreachable"],
  [500, "OperationTimedOut", "storage_unreachable"],
  [503, "ServerBusy", "storage_unreachable"],
  [403, "AccountLimitExceeded", "storage_full"],
  [507, "InsufficientStorage", "storage_full"],
  [400, "InvalidHeaderValue", "storage_refused"],
  [302, "Found", "storage_refused"],
];

for (const [status, word, code] of REFUSALS) {
  Deno.test(
    `azureStorage() makes ${code} of ${status} ${word}`,
    shared,
    () =>
      withAnswers(() => refused(status, word), async (storage, asked) => {
        await assert.rejects(storage.get("a"), isCode(code));
        assert.equal(asked.length, 1, "trying again is not its business");
      }),
  );
}

// Azurite has no immutability, so only what is asked for can be looked at.
Deno.test(
  "azureStorage() asks for tier, immutability and legal hold, and makes them longer",
  shared,
  async () => {
    const lock = { mode: "compliance" as const, days: 30, legalHold: true };
    const answer = ({ url }: Request) =>
      new Response(null, { status: /comp=(immutabilityPolicies|legalhold)/.test(url) ? 200 : 201 });
    await withAnswers(answer, async (storage, asked) => {
      await storage.put("a", bytes(1));
      await storage.put("blocks", bytes(2000));
      const until = new Date("2040-01-01T00:00:00Z");
      await storage.extendLock!(["a"], until);
      const locking = asked.filter(({ url }) => !/comp=block(&|$)/.test(url));
      const told = locking.map(({ headers }) => [
        headers.get("x-ms-access-tier"),
        headers.get("x-ms-immutability-policy-mode")?.toLowerCase() ?? null,
        headers.get("x-ms-legal-hold"),
      ]);
      assert.deepEqual(told, [
        ["Cool", "locked", "true"],
        ["Cool", "locked", "true"],
        [null, null, "true"],
        [null, "locked", null],
      ]);
      assert.deepEqual(asked.map(({ headers }) => headers.get("if-none-match")).filter(Boolean), [
        "*",
        "*",
      ]);
      const end = locking.at(-1)!.headers.get("x-ms-immutability-policy-until-date")!;
      assert.equal(new Date(end).getTime(), until.getTime());
    }, { lock, tier: "Cool", blockwiseBytes: 1000 });
  },
);

Deno.test("the server stops", shared, async () => {
  await (await start()).close();
});
