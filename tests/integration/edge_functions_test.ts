import assert from "node:assert/strict";
import type { SavedItem } from "../../supabase/functions/backup/core/items.ts";
import { functionsSource } from "../../supabase/functions/backup/project/mod.ts";
import { backUp, deploy, sourceOf } from "../support/deployed_functions.ts";
import type { KeptItems } from "../support/item_round_trip.ts";
import { startManagementContract } from "../support/management_contract.ts";

const signal = new AbortController().signal;

function textOf(kept: KeptItems, item: SavedItem): Record<string, string> {
  return Object.fromEntries(
    item.contents.map((
      { name, sha256 },
    ) => [name, new TextDecoder().decode(kept.bodies.get(sha256!))]),
  );
}

function itemOf(kept: KeptItems, key: string): SavedItem {
  const found = kept.items.find((item) => item.key === key);
  assert(found !== undefined, `${key} is not in the backup`);
  return found;
}

Deno.test("functionsSource() lists in the order of keys, with all that the API says", async () => {
  await using contract = startManagementContract();
  for (const slug of ["zeta", "Alpha", "beta-2"]) {
    await deploy(contract, slug, { verifyJwt: false });
  }
  const source = sourceOf(contract);
  const { items, next } = await source.page(null, signal);
  assert.deepEqual(items.map(({ key }) => key), ["Alpha", "beta-2", "zeta"]);
  assert.equal(next, null);
  const [first] = items;
  assert.deepEqual(first?.facts, { ...contract.resources.functions.functions.get("Alpha") });
  assert.deepEqual(await source.describe(signal), {
    projectRef: contract.api().projectRef,
    facts: {},
    missing: [],
    skipped: [],
  });
});

Deno.test("functionsSource() without a token has nothing and says why", async () => {
  const source = functionsSource({ api: null, projectRef: null, withoutApi: "no token" });
  const { skipped } = await source.describe(signal);
  assert.deepEqual(skipped, [{ what: "Edge Functions", reason: "no token" }]);
  assert.deepEqual(await source.page(null, signal), { items: [], next: null });
});

Deno.test("functionsSource() reads the bundle and every source file, and says what is only in the bundle", async () => {
  await using contract = startManagementContract();
  await deploy(contract, "hello", {
    files: {
      "hello/index.ts": 'import "../_shared/cors.ts"',
      "_shared/cors.ts": "export {}",
      "hello/deno.json": "{}",
      "hello/page.html": "<p>",
    },
    importMap: "hello/deno.json",
    staticPatterns: ["hello/*.html"],
  });
  const kept = await backUp(contract);
  const item = itemOf(kept, "hello");
  assert.deepEqual(textOf(kept, item), {
    bundle: new TextDecoder().decode(contract.resources.functions.bundle("hello")),
    "source/supabase/functions/_shared/cors.ts": "export {}",
    "source/supabase/functions/hello/index.ts": 'import "../_shared/cors.ts"',
  });
  assert.deepEqual(item.facts.source, {
    entrypoint: "supabase/functions/hello/index.ts",
    importMap: "supabase/functions/hello/deno.json",
  });
  assert.deepEqual(item.facts.staticFiles, ["supabase/functions/hello/page.html"]);
  assert.match(String(item.facts.notSaved), /hello\/deno\.json as a file/);
});

Deno.test("functionsSource() gives a revision that changes with every deployment and with nothing else", async () => {
  await using contract = startManagementContract();
  await deploy(contract, "hello");
  const source = sourceOf(contract);
  const revision = async () => (await source.page(null, signal)).items[0]?.revision;
  const first = await revision();
  assert.equal(await revision(), first);
  await deploy(contract, "hello");
  assert.notEqual(await revision(), first);
});

Deno.test("functionsSource() reads a function again that is deployed while it is read", async () => {
  await using contract = startManagementContract();
  await deploy(contract, "hello");
  const source = sourceOf(contract);
  const { items } = await source.page(null, signal);
  let times = 0;
  const { functions } = contract.resources;
  functions.beforeBody = () => {
    times += 1;
    if (times === 2) functions.functions.get("hello")!.version += 1; // between bundle and sources
  };
  const read = await source.read(items[0]!, signal);
  assert.equal(times, 4);
  assert.match(read?.revision ?? "", /^2 /);
  functions.beforeBody = () => functions.functions.get("hello")!.version += 1;
  await assert.rejects(source.read(items[0]!, signal), { code: "conflict" });
});

Deno.test("functionsSource() gives null for a function that is deleted while it is read", async () => {
  await using contract = startManagementContract();
  const { functions } = contract.resources;
  for (const at of [1, 2]) {
    await deploy(contract, "hello");
    const source = sourceOf(contract);
    const { items } = await source.page(null, signal);
    let times = 0;
    functions.beforeBody = (slug) => {
      if (++times === at) functions.functions.delete(slug);
    };
    assert.equal(await source.read(items[0]!, signal), null, `deleted before body ${at}`);
  }
});

Deno.test("functionsSource() saves what there is when the API gives the bundle or the sources only", async () => {
  await using contract = startManagementContract();
  await deploy(contract, "hello");
  contract.resources.functions.givesSources = false;
  const bundleOnly = itemOf(await backUp(contract), "hello");
  assert.deepEqual(bundleOnly.contents.map(({ name }) => name), ["bundle"]);
  assert.equal(bundleOnly.facts.source, null);
  assert.match(String(bundleOnly.facts.notSaved), /the source files: /);
  contract.resources.functions.givesSources = true;
  contract.fail("v1-get-a-function-body", { text: "<html>", type: "text/html" });
  const sourcesOnly = itemOf(await backUp(contract), "hello");
  assert.deepEqual(sourcesOnly.contents.map(({ name }) => name), [
    "source/supabase/functions/hello/index.ts",
  ]);
  assert.match(String(sourcesOnly.facts.notSaved), /the bundle: /);
  contract.fail("v1-get-a-function-body", { text: "<html>" }, { times: 2 });
  const source = sourceOf(contract);
  const { items } = await source.page(null, signal);
  await assert.rejects(source.read(items[0]!, signal), { code: "management_malformed" });
});

const FAULTS = [
  [{ status: 401 }, "management_unauthorized"],
  [{ status: 403 }, "management_forbidden"],
  [{ status: 404 }, "management_not_found"],
  [{ status: 429, headers: { "retry-after": "9999" } }, "management_unavailable"],
  [{ status: 500 }, "management_unavailable"],
  [{ text: "<html>" }, "management_malformed"],
  [{ text: '[{"slug":1}]', type: "application/json" }, "management_malformed"],
  ["cut", "management_unavailable"],
] as const;
for (const [fault, code] of FAULTS) {
  Deno.test(`functionsSource() fails with ${code} when the listing meets ${JSON.stringify(fault)}`, async () => {
    await using contract = startManagementContract();
    contract.fail("v1-list-all-functions", fault, { times: 9 });
    await assert.rejects(sourceOf(contract).page(null, signal), { code });
  });
}

Deno.test("functionsSource() outlasts passing failures of every call", async () => {
  await using contract = startManagementContract();
  await deploy(contract, "hello");
  for (const id of ["v1-list-all-functions", "v1-get-a-function-body", "v1-get-a-function"]) {
    contract.fail(id, { status: 503 });
    contract.fail(id, { status: 429, headers: { "retry-after": "3" } });
    contract.fail(id, "cut");
  }
  assert.equal(itemOf(await backUp(contract), "hello").contents.length, 2);
});
